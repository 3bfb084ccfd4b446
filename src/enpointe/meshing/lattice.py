"""Values on cubic lattices: how they are requested, and what they imply about the signs between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError, MeshError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Bools = NDArray[np.bool_]
T = TypeVar("T", np.float32, np.bool_)

Field = Callable[[Floats], Floats]
"""points (n, 3) float32 -> values (n,): positive inside, zero on the surface, best near a signed distance."""

CORNERS = tuple(product((0, 1), repeat=3))
"""Of a cell, as steps from its first."""

_MAX_POINTS = 1 << 20  # in one call of the field
_NEAR = 2  # steps around a point that are looked at for its sign; more settle hardly any more


class Sampler:
    """Asks the field at grid points, counts, and checks what comes back."""

    def __init__(self, field: Field, size: int, low: float, high: float) -> None:
        self.field, self.size, self.low = field, size, low
        self.voxel = (high - low) / (size - 1)
        self.n_queries = 0

    def __call__(self, flat: Indices, shape: tuple[int, ...], stride: int = 1) -> Floats:
        """Values at flat indices into a lattice of `shape` whose points are `stride` samples apart.

        The lattice may overhang the box; there it repeats the box's border, which no slope can be raised by.
        """
        values = np.empty(len(flat), dtype=np.float32)
        for start in range(0, len(flat), _MAX_POINTS):
            index = np.stack(np.unravel_index(flat[start : start + _MAX_POINTS], shape), axis=1)
            index = np.minimum(index * stride, self.size - 1)
            points = index.astype(np.float32) * np.float32(self.voxel) + np.float32(self.low)
            values[start : start + _MAX_POINTS] = self._ask(points)
        return values

    def everywhere(self, stride: int = 1) -> Floats:
        """The whole lattice of that stride."""
        shape = (-(-(self.size - 1) // stride) + 1,) * 3
        return self(np.arange(math.prod(shape)), shape, stride).reshape(shape)

    def within_box(self, lattice: NDArray[T], stride: int) -> NDArray[T]:
        """The lattice of that stride without what overhangs, once that has done its work."""
        return np.ascontiguousarray(lattice[(slice((self.size - 1) // stride + 1),) * 3])

    def _ask(self, points: Floats) -> Floats:
        values = np.asarray(self.field(points))
        if values.shape != (len(points),) or values.dtype.kind not in "fiu":
            raise InputError(
                f"field: expected numbers of shape ({len(points)},) for as many points, "
                f"found {values.dtype} of shape {values.shape}"
            )
        bad = len(values) - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise MeshError(f"expected a field of finite numbers, found {bad} of {len(values)} NaN or infinite")
        self.n_queries += len(points)
        return values.astype(np.float32)


def halved(coarse: Floats, reach: float) -> Floats:
    """A lattice (2m - 1)^3 between the points of `coarse` (m, m, m), NaN where they leave the sign open.

    reach: how much the field may change over the new step. A new point lies amid 2, 4 or 8 old ones, 1, sqrt 2 or
    sqrt 3 steps off. Where one of these is further from zero than the way allows to bridge, it leaves its sign and
    what remains, a bound that serves the next halving as a value would.
    """
    fine = np.empty([2 * m - 1 for m in coarse.shape], dtype=np.float32)
    for between in CORNERS:
        least, most = coarse, coarse
        for axis in (axis for axis in range(3) if between[axis]):
            least, most = np.minimum(*_neighbors(least, axis)), np.maximum(*_neighbors(most, axis))
        target = tuple(slice(odd, None, 2) for odd in between)
        if not any(between):
            fine[target] = coarse
            continue
        change = np.float32(reach * math.sqrt(sum(between)))
        positive, negative = most > change, least < -change
        bound = np.where(positive, most - change, least + change)
        bound[positive == negative] = np.nan  # neither, or both: steeper than was thought
        fine[target] = bound
    return fine


def bounds(values: Floats, points: Indices, reach: float) -> Floats:
    """What the values and bounds around flat indices leave of the field there: its sign and a smaller or equal size.

    0 where they leave nothing, or contradict each other. Beyond the border its own values stand: they are no further.
    """
    near = range(-_NEAR, _NEAR + 1)
    pitches = (values.shape[1] * values.shape[2], values.shape[2], 1)
    moved = [
        [np.clip(index + step, 0, size - 1) * pitch for step in near]
        for index, size, pitch in zip(np.unravel_index(points, values.shape), values.shape, pitches, strict=True)
    ]
    least, most = np.zeros((2, len(points)), np.float32)
    for x, y, z in product(near, repeat=3):
        steps = math.sqrt(x * x + y * y + z * z)
        if 0 < steps < _NEAR + 0.5:
            seen = values.ravel()[moved[0][x + _NEAR] + moved[1][y + _NEAR] + moved[2][z + _NEAR]]
            change = np.float32(reach * steps)
            np.maximum(most, seen - change, out=most)
            np.minimum(least, seen + change, out=least)
    return np.where((most > 0) & (least < 0), 0, most + least)


def follow_surface(sampler: Sampler, values: Floats, known: Bools, stride: int) -> None:
    """Ask at the unknown corners of all cells with both signs, and of those that get both signs by the answers."""
    corner = np.array(CORNERS)
    cells = np.argwhere(mixed_cells(values > 0))
    while len(cells):
        corners = np.ravel_multi_index(tuple((cells[:, None] + corner).reshape(-1, 3).T), values.shape)
        new = np.unique(corners[~known.ravel()[corners]])
        answers = sampler(new, values.shape, stride)
        flipped = new[(answers > 0) != (values.ravel()[new] > 0)]
        values.ravel()[new] = answers
        known.ravel()[new] = True
        around = np.stack(np.unravel_index(flipped, values.shape), axis=1)[:, None] - corner
        cells = np.unique(around.reshape(-1, 3), axis=0)
        cells = cells[((cells >= 0) & (cells < len(values) - 1)).all(axis=1)]
        signs = values[tuple(np.moveaxis(cells[:, None] + corner, -1, 0))] > 0
        cells = cells[signs.any(axis=1) & ~signs.all(axis=1)]


def mixed_cells(inside: Bools) -> Bools:
    """(n - 1, n - 1, n - 1): which cells of a grid have corners on both sides."""
    all_in, any_in = inside, inside
    for axis in range(3):
        all_in, any_in = np.logical_and(*_neighbors(all_in, axis)), np.logical_or(*_neighbors(any_in, axis))
    return any_in & ~all_in


def points_of_cells(cells: Bools, step: int = 1) -> Bools:
    """Which points belong to cells (k, k, k) that are `step` points wide: (step k + 1,) along each axis."""
    for axis in range(3):
        count = cells.shape[axis]
        points: Bools = np.zeros([step * n + 1 if i == axis else n for i, n in enumerate(cells.shape)], dtype=np.bool_)
        for first in range(step + 1):
            points[(slice(None),) * axis + (slice(first, first + step * (count - 1) + 1, step),)] |= cells
        cells = points
    return cells


def _neighbors(values: NDArray[Any], axis: int) -> Iterator[NDArray[Any]]:
    """The array without its last, and without its first layer along an axis."""
    for span in (slice(None, -1), slice(1, None)):
        yield values[(slice(None),) * axis + (span,)]
