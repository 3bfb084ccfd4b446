"""The released models by name, and their keys."""

from __future__ import annotations

from typing import Any

import pytest

from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.released import RELEASED
from enpointe.nn.point_transformer import PointTransformerConfig


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
