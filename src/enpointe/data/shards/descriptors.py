"""A few numbers that distinguish clouds, and the duplicates that they reveal.

A descriptor is the kernel mean embedding of a cloud, as a distribution in space and color, by random Fourier
features (Rahimi and Recht 2007): the distance of two descriptors estimates the maximum mean discrepancy of
the clouds, whatever the order and the choice of their points. It knows which way an object is turned.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError

LENGTH = 128
"""Numbers in a descriptor."""
_POINTS = 4096
_SPACE, _COLOR = 0.25, 0.5
"""Standard deviations of the Gaussian kernel: in longest sides, and of sRGB values in [0, 1]."""
_STEPS = 32767
_BLOCK, _TAIL = 512, 4096


def descriptor(points: NDArray[np.floating], colors: NDArray[np.floating]) -> NDArray[np.float32]:
    """(LENGTH,) of a cloud (n, 3) in the unit frame with sRGB colors (n, 3) in [0, 1]; its norm is at most 1.

    Of more than 4,096 points the first as many are taken: in farthest-point order these are spread evenly.
    """
    cloud = np.concatenate([points[:_POINTS] / _SPACE, colors[:_POINTS] / _COLOR], axis=1)
    phase = cloud @ _frequencies()
    waves = np.concatenate([np.cos(phase).mean(axis=0), np.sin(phase).mean(axis=0)])
    return (waves / np.sqrt(LENGTH / 2)).astype(np.float32)


@lru_cache
def _frequencies() -> NDArray[np.float64]:
    """(6, LENGTH / 2), always the same."""
    return np.random.default_rng(0).standard_normal((6, LENGTH // 2))


def to_text(values: NDArray[np.float32]) -> str:
    """A descriptor as 16-bit numbers, in base 64."""
    return base64.b64encode(np.round(values * _STEPS).astype("<i2").tobytes()).decode("ascii")


def of_text(text: str) -> NDArray[np.float32]:
    """What `to_text` wrote.

    Raises:
        InputError: it is something else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError(f"expected a descriptor, found {error}") from error
    if len(data) != 2 * LENGTH:
        raise InputError(f"expected a descriptor of {LENGTH} numbers, found {len(data)} bytes")
    return (np.frombuffer(data, "<i2") / _STEPS).astype(np.float32)


def duplicates(descriptors: NDArray[np.float32], threshold: float) -> dict[int, tuple[int, float]]:
    """Which rows of (n, d) lie within `threshold` of an earlier row that is kept: that row and its distance.

    Rows that are duplicates themselves are not compared with: a chain of small steps is not one thing.
    """
    found: dict[int, tuple[int, float]] = {}
    if len(descriptors) == 0 or not threshold > 0:
        return found
    rotated = _by_spread(descriptors)
    kept = _Kept(rotated, threshold)
    for start in range(0, len(rotated), _BLOCK):
        rows = range(start, min(start + _BLOCK, len(rotated)))
        for row, (other, distance) in zip(rows, kept.nearest(rows), strict=True):
            near = kept.nearest_among_new(row, start)
            if near is not None and near[1] < distance:
                other, distance = near
            if distance < threshold:
                found[row] = other, distance
            else:
                kept.add(row)
    return found


def _by_spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turned to their principal axes, widest first: distances stay, and trees split where it discriminates most."""
    centered = values - values.mean(axis=0)
    axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1]
    return np.ascontiguousarray(centered @ axes)


class _Kept:
    """Rows that are kept so far: most of them in a tree, the latest in a list."""

    def __init__(self, rows: NDArray[np.float32], reach: float) -> None:
        self.rows, self.reach = rows, reach
        self.tree: cKDTree | None = None
        self.in_tree: list[int] = []
        self.tail: list[int] = []

    def add(self, row: int) -> None:
        self.tail.append(row)

    def nearest(self, rows: Sequence[int]) -> list[tuple[int, float]]:
        """The nearest kept row of each of some, and its distance; (-1, inf) where none is within reach."""
        if len(self.tail) > _TAIL:
            self.in_tree += self.tail
            self.tail = []
            self.tree = cKDTree(self.rows[self.in_tree])
        queries = self.rows[list(rows)]
        best = [(-1, np.inf)] * len(queries)
        if self.tree is not None:
            distance, place = self.tree.query(queries, distance_upper_bound=self.reach)
            best = [
                (self.in_tree[p], float(d)) if np.isfinite(d) else (-1, np.inf)
                for d, p in zip(distance, place, strict=True)
            ]
        if self.tail:
            apart = _distances(queries, self.rows[self.tail])
            place = apart.argmin(axis=1)
            near = [(self.tail[p], float(apart[i, p])) for i, p in enumerate(place)]
            best = [min(pair, key=lambda found: found[1]) for pair in zip(best, near, strict=True)]
        return best

    def nearest_among_new(self, row: int, since: int) -> tuple[int, float] | None:
        """The nearest of the kept rows from `since` on."""
        first = next((i for i, kept in enumerate(self.tail) if kept >= since), len(self.tail))
        new = self.tail[first:]
        if not new:
            return None
        apart = np.linalg.norm(self.rows[new] - self.rows[row], axis=1)
        return new[int(apart.argmin())], float(apart.min())


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, m) between rows (n, d) and (m, d). Differences, not products: these cancel where it is close."""
    return np.stack([np.linalg.norm(b - row, axis=1) for row in a])
