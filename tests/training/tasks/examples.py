"""A data set of a few objects in memory, with all that an example can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Stream, check_share
from enpointe.data.example import Distances, Example
from enpointe.data.shards.records import StoredView, webp
from enpointe.render.camera import look_at_center

SIDE = 32


def ball(number: int, n_points: int, *, n_queries: int = 64, views: bool = True) -> Example:
    """A sphere of diameter 1 in a color of its own, seen as a disc."""
    rng = np.random.default_rng(number)
    color = rng.random(3).astype(np.float32)
    points, queries = rng.normal(size=(n_points, 3)), rng.uniform(-0.6, 0.6, (n_queries, 3)).astype(np.float32)
    points /= 2 * np.linalg.norm(points, axis=1, keepdims=True)
    at = np.linspace(-1, 1, SIDE)
    inside = at[:, None] ** 2 + at**2 < 0.8
    pixels = np.where(inside[..., None], np.array([*np.round(color * 255), 255]), 0).astype(np.uint8)
    cameras = [look_at_center(np.array(direction), size=SIDE) for direction in ((1.0, 0, 0), (0, 1.0, 0))]
    seen = tuple(StoredView(webp(pixels), camera) for camera in cameras)
    return Example(
        f"ball/{number}",
        points.astype(np.float32),
        np.tile(color, (n_points, 1)),
        (f"ball number {number}", "a ball"),
        views=seen if views else (),
        distances=Distances(queries, np.linalg.norm(queries, axis=1) - 0.5),
    )


@dataclass(frozen=True)
class Balls:
    """As many balls; the last is held out."""

    n_points: int
    n: int = 5
    held_out: bool | None = None
    views: bool = True

    @property
    def size(self) -> int:
        return len(self.numbers)

    @property
    def numbers(self) -> range:
        return {None: range(self.n), False: range(self.n - 1), True: range(self.n - 1, self.n)}[self.held_out]

    def split(self, held_out: bool) -> Self:
        return replace(self, held_out=held_out)

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return self

    def stream(self, seed: int = 0) -> BallStream:
        return BallStream(self)


class BallStream(Stream):
    """One ball after the other."""

    def __init__(self, data: Balls) -> None:
        self._data, self._done = data, 0

    def __next__(self) -> Example:
        number = self._data.numbers[self._done % self._data.size]
        self._done += 1
        return ball(number, self._data.n_points, views=self._data.views)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state.get("done"), int):
            raise InputError(f"expected a state of this stream, found {dict(state)}")
        self._done = state["done"]
