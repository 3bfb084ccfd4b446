"""Which points to keep: each function returns indices, for `PointCloud.select`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Indices, triples


def farthest_point(
    points: ArrayLike, n: int, *, start: int | None = None, generator: np.random.Generator | None = None
) -> Int64[Indices, " {n}"]:
    """Indices (n,) of points (m, 3), each the farthest from all those before it; O(n m).

    The first is `start`, or drawn by `generator`: exactly one of the two is given. Of equally far points the
    lowest index is taken. As in PointNet++ (arXiv 1706.02413, section 3.2) and the Point-E release.
    """
    coords = triples(points, "points")
    _check_count(n, len(coords))
    if (start is None) == (generator is None):
        raise InputError("farthest_point: expected either start or generator, found both or neither")
    if start is None:
        assert generator is not None
        start = int(generator.integers(len(coords)))
    if not 0 <= start < len(coords):
        raise InputError(f"start: expected 0 to {len(coords) - 1}, found {start}")
    # One row for each axis: every step below runs over contiguous memory without allocating.
    axes = np.ascontiguousarray(coords.T)
    distance = np.full(len(coords), np.inf, dtype=np.float32)  # squared, to the nearest chosen so far
    step, square = np.empty_like(distance), np.empty_like(distance)
    chosen = np.empty(n, dtype=np.int64)
    for i in range(n):
        chosen[i] = start
        square.fill(0)
        for axis in axes:
            np.subtract(axis, axis[start], out=step)
            np.multiply(step, step, out=step)
            np.add(square, step, out=square)
        np.minimum(distance, square, out=distance)
        distance[start] = -1  # not again, even where all that is left are copies of chosen points
        start = int(distance.argmax())
    return chosen


def random(points: ArrayLike, n: int, *, generator: np.random.Generator) -> Int64[Indices, " {n}"]:
    """Indices (n,) of points (m, 3), drawn uniformly without repetition."""
    count = len(triples(points, "points"))
    _check_count(n, count)
    return generator.choice(count, n, replace=False).astype(np.int64)


def voxel(points: ArrayLike, side: float) -> Int64[Indices, " n"]:
    """Indices, rising, of one of points (m, 3) for each occupied cube of a grid of this side from the origin on.

    It is the point nearest to the mean of its cube's points, the first one where several are as near.
    """
    coords = triples(points, "points").astype(np.float64)
    if not side > 0 or not np.isfinite(side):
        raise InputError(f"side: expected above zero, found {side}")
    cells = np.floor(coords / side)
    if np.abs(cells).max() > 2**52:
        raise InputError(f"side: expected a size near that of the points, found {side:g}")
    _, cell, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    cell = cell.reshape(-1)
    middle = np.stack([np.bincount(cell, coords[:, i]) / count for i in range(3)], axis=1)
    off_middle = np.square(coords - middle[cell]).sum(axis=1)
    order = np.lexsort((off_middle, cell))  # stable: equals stay in the order given
    first = np.searchsorted(cell[order], np.arange(len(count)))
    return np.sort(order[first]).astype(np.int64)


def _check_count(n: int, available: int) -> None:
    if not 1 <= n <= available:
        raise InputError(f"n: expected 1 to {available}, the number of points, found {n}")
