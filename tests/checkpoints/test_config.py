"""Configs: plain JSON values in, a network out; what does not fit is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.config import PointTransformerConfig, SDFConfig
from enpointe.checkpoints.released import RELEASED
from enpointe.core.config import from_dict

CONFIGS = [
    PointTransformerConfig(width=16, layers=1, heads=2, grids=(("text", 8), ("image", 4)), position_bands=2),
    PointTransformerConfig(width=16, layers=2, heads=4, low_res=True, channel_scales=(2.0,) * 6, vector=5),
    SDFConfig(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=2, decoder_heads=1),
]


@pytest.mark.parametrize("config", CONFIGS, ids=["grids", "low_res", "sdf"])
def test_round_trip_through_json(config: PointTransformerConfig | SDFConfig) -> None:
    again = from_dict(type(config), json.loads(json.dumps(vars(config))))
    assert again == config
    assert hash(again) == hash(config)
    shapes = [{key: value.shape for key, value in c.build().state_dict().items()} for c in (config, again)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("options", [{"vector": 6}, {"grids": (("image", 4),), "low_res": True}])
def test_released_keys(options: dict[str, Any]) -> None:
    ours = PointTransformerConfig(width=8, layers=1, heads=2, **options).build().state_dict()
    released = to_released(ours)
    assert any(key.startswith("clip_embed.") for key in released)
    assert not any(key.startswith(("vector_embed", "grid_embed")) for key in released)
    assert len(released) == len(ours)
    assert all(any(value is tensor for tensor in ours.values()) for value in released.values())


def test_released_processes() -> None:
    """The upsampler was trained on the linear schedule, all others on the cosine one; 4,096 points in all."""
    assert {name: model.process.schedule for name, model in RELEASED.items() if name != "upsample"}.keys() == {
        "base40M-imagevec", "base40M-textvec", "base40M-uncond", "base40M", "base300M", "base1B",
    }  # fmt: skip
    assert all((model.process.schedule == "linear") == model.config.low_res for model in RELEASED.values())
    assert all(len(model.process) == 1024 for model in RELEASED.values())
    up = RELEASED["upsample"]
    assert up.n_points + RELEASED["base40M"].n_points == 4096
    assert (up.config.channel_scales, up.config.channel_biases) == (up.scaling.scales, up.scaling.biases)
