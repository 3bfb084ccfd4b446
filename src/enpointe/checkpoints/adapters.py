"""The released checkpoints' key names for ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

V = TypeVar("V")

IMAGE = "image"
"""Our name of the grid condition that the released networks take."""


def to_released(state: Mapping[str, V]) -> dict[str, V]:
    """The release's key names for one of our state dicts."""
    renamed = state
    for ours in ("vector_embed.", f"grid_embed.{IMAGE}."):
        renamed = {_swap(key, ours, "clip_embed."): value for key, value in renamed.items()}
    return dict(renamed)


def _swap(key: str, prefix: str, other: str) -> str:
    return other + key.removeprefix(prefix) if key.startswith(prefix) else key
