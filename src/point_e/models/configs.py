"""The released networks' configurations, as the dictionaries that the release's scripts pass around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from enpointe.checkpoints.released import RELEASED, RELEASED_SDF
from enpointe.core.errors import InputError

from .sdf import CrossAttentionPointCloudSDFModel
from .transformer import (
    CLIPImageGridPointDiffusionTransformer,
    CLIPImageGridUpsamplePointDiffusionTransformer,
    CLIPImagePointDiffusionTransformer,
    PointDiffusionTransformer,
    UpsamplePointDiffusionTransformer,
)

_COARSE_POINTS = 1024
_SDF_POINTS = 4096
_INIT_SCALE = 0.25
_DROPPED = 0.1

CLASSES: dict[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (
        PointDiffusionTransformer,
        CLIPImagePointDiffusionTransformer,
        CLIPImageGridPointDiffusionTransformer,
        UpsamplePointDiffusionTransformer,
        CLIPImageGridUpsamplePointDiffusionTransformer,
        CrossAttentionPointCloudSDFModel,
    )
}


def _config(name: str) -> dict[str, Any]:
    """The release's dictionary for one of enpointe's presets."""
    model = RELEASED[name]
    ours = model.config
    config: dict[str, Any] = {
        "heads": ours.heads,
        "init_scale": _INIT_SCALE,
        "input_channels": ours.input_channels,
        "layers": ours.layers,
        "n_ctx": model.n_points,
        "name": "PointDiffusionTransformer",
        "output_channels": ours.output_channels,
        "time_token_cond": ours.time_as_token,
        "width": ours.width,
    }
    if ours.vector:
        config |= {"name": "CLIPImagePointDiffusionTransformer", "token_cond": ours.vector_as_token}
    if ours.grids:
        config["name"] = "CLIPImageGridPointDiffusionTransformer"
    if ours.low_res:
        config |= {
            "name": "CLIPImageGridUpsamplePointDiffusionTransformer",
            "channel_scales": list(ours.channel_scales),
            "channel_biases": list(ours.channel_biases),
            "cond_ctx": _COARSE_POINTS,
        }
    if ours.vector or ours.grids:
        config["cond_drop_prob"] = _DROPPED
    return config


MODEL_CONFIGS: dict[str, dict[str, Any]] = {
    **{name: _config(name) for name in RELEASED},
    "sdf": {
        "decoder_heads": RELEASED_SDF.decoder_heads,
        "decoder_layers": RELEASED_SDF.decoder_layers,
        "encoder_heads": RELEASED_SDF.encoder_heads,
        "encoder_layers": RELEASED_SDF.encoder_layers,
        "init_scale": _INIT_SCALE,
        "n_ctx": _SDF_POINTS,
        "name": "CrossAttentionPointCloudSDFModel",
        "width": RELEASED_SDF.width,
    },
}


def model_from_config(config: Mapping[str, Any], device: torch.device | str) -> Any:
    """A network with fresh float32 weights on the device, from "name", its class, and its constructor's arguments.

    Raises:
        InputError: no such class.
    """
    arguments = dict(config)
    name = arguments.pop("name")
    if name not in CLASSES:
        raise InputError(f"model name: expected one of {', '.join(CLASSES)}, found {name!r}")
    # By its name in this module, where a script may have put a class of its own.
    return globals()[name](device=device, dtype=torch.float32, **arguments)
