"""The released checkpoints' configurations and key names, in ours and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from enpointe.errors import InputError
from enpointe.models.config import PointTransformerConfig, SDFConfig

V = TypeVar("V")

IMAGE = "image"
"""Our name of the grid condition that the released networks take."""


def point_transformer_config(
    class_name: str, config: Mapping[str, Any], *, vector: int = 768, grid: int = 1024
) -> PointTransformerConfig:
    """Our config for one of the release's point-cloud classes.

    Args:
        class_name: the release's class, such as "CLIPImageGridPointDiffusionTransformer".
        config: its constructor arguments; those that do not change the function
            (n_ctx, cond_ctx, init_scale, cond_drop_prob) are left out.
        vector, grid: channels of the CLIP vector and of the CLIP grid.
    """
    kinds: dict[str, dict[str, Any]] = {
        "PointDiffusionTransformer": {},
        "CLIPImagePointDiffusionTransformer": {
            "vector": vector,
            "vector_as_token": bool(config.get("token_cond", False)),
        },
        "CLIPImageGridPointDiffusionTransformer": {"grids": ((IMAGE, grid),)},
        "UpsamplePointDiffusionTransformer": {"low_res": True},
        "CLIPImageGridUpsamplePointDiffusionTransformer": {"low_res": True, "grids": ((IMAGE, grid),)},
    }
    if class_name not in kinds:
        raise InputError(f"released class: expected one of {sorted(kinds)}, found {class_name!r}")
    extra = kinds[class_name]
    if extra.get("low_res"):
        extra |= {name: tuple(map(float, config[name])) for name in ("channel_scales", "channel_biases")}
    return PointTransformerConfig(
        width=config["width"],
        layers=config["layers"],
        heads=config["heads"],
        input_channels=config["input_channels"],
        output_channels=config["output_channels"],
        time_as_token=config["time_token_cond"],
        **extra,
    )


def sdf_config(config: Mapping[str, Any]) -> SDFConfig:
    """Our config for the release's cross-attention SDF class."""
    names = ("width", "encoder_layers", "encoder_heads", "decoder_layers", "decoder_heads")
    return SDFConfig(**{name: config[name] for name in names})


def from_released(state: Mapping[str, V], config: PointTransformerConfig) -> dict[str, V]:
    """Our key names for a released point-cloud network's state dict (the SDF's need no change)."""
    ours = "vector_embed." if config.vector else f"grid_embed.{IMAGE}."
    return {_swap(key, "clip_embed.", ours): value for key, value in state.items()}


def to_released(state: Mapping[str, V]) -> dict[str, V]:
    """The release's key names for one of our state dicts."""
    renamed = state
    for ours in ("vector_embed.", f"grid_embed.{IMAGE}."):
        renamed = {_swap(key, ours, "clip_embed."): value for key, value in renamed.items()}
    return dict(renamed)


def _swap(key: str, prefix: str, other: str) -> str:
    return other + key.removeprefix(prefix) if key.startswith(prefix) else key
