"""A scalar field sampled on a cubic grid, everywhere or only where its zero surface may pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from enpointe.errors import InputError, MeshError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Bools = NDArray[np.bool_]
T = TypeVar("T", np.float32, np.bool_)

Field = Callable[[Floats], Floats]
"""points (n, 3) float32 -> values (n,): positive inside, zero on the surface, best near a signed distance."""

Method = Literal["sparse", "dense"]

BOX = (-0.51, 0.51)
"""The unit frame with the small margin that the Point-E release takes (a side of 1.02)."""
GRID_SIZES = (8, 1024)

_COARSE_CELLS = 12  # the coarsest grid has at least so many cells along a side
_SLOPE_MARGIN = 1.1  # a slope seen between coarse samples is at most the field's own
_MAX_POINTS = 1 << 20  # in one call of the field
_NEAR = 2  # steps around a point that are looked at for its sign; more settle hardly any more
_MAX_SETTLED = 1 << 18  # at a time: some 200 bytes each
_MAX_QUERIES = 24  # times grid_size^2 in all; an object's surface takes up to 12
_FREE_QUERIES = 200_000  # below that no field is too rough


@dataclass(frozen=True, eq=False)
class GridSamples:
    """Values of a field at the points of a cubic grid.

    values: (n, n, n) float32, axes x, y, z; n is grid_size, or less for a rough field, see `sample_grid`. The corners
        of every cell that the surface passes hold the field's own values; from a sparse sampling the others hold its
        sign and a smaller or equal size.
    low, voxel: sample (i, j, k) lies at low + voxel * (i, j, k).
    n_queries: at how many points the field was asked.
    """

    values: Floats
    low: float
    voxel: float
    n_queries: int

    @property
    def inside(self) -> Bools:
        """(n, n, n): where the field is above zero."""
        return self.values > 0


def sample_grid(
    field: Field,
    *,
    grid_size: int = 128,
    box: tuple[float, float] = BOX,
    method: Method = "sparse",
    lipschitz: float = 1.5,
) -> GridSamples:
    """Sample `field` at grid_size points along each side of the cube box[0]..box[1], both ends included.

    "dense" asks at all the points, as the release does. "sparse" asks at every 2^k-th point, then halves the step
    until it is one. Where |f(p) - f(q)| <= L |p - q|, a point at distance d from a known value v has the sign of v
    if |v| > L d, so only the points whose sign nothing known around them settles are asked, the middles of cells
    first, then those of faces, then those of edges, as each settles many of the next; at the end all the corners of
    all the cells with both signs are. For a field with Lipschitz constant L the surface is therefore that of the
    dense grid, without exception. L is `lipschitz` (a true distance has 1), or 1.1 times the steepest slope between
    coarse samples if that is more. Where a field is steeper yet, cells with both signs still grow along the surface
    until it is closed: each of its pieces comes out whole if any cell of it was found.

    Queries grow as grid_size^2, memory as grid_size^3 with some ten bytes a sample (128: 20 MB, 1024: 10 GB). The
    surface of a rough field, such as a network's around a scattered cloud, winds through the whole box and would take
    a large part of grid_size^3. Where the next halving might ask at more than 24 grid_size^2 points in all (200,000 on
    small grids), sampling stops before it, with every 2^j-th point of the grid: a coarser surface, at a bounded cost.

    InputError for a grid_size outside 8..1024 or another wrong argument; MeshError for a value that is not finite.
    """
    sampler = _Sampler(field, _checked_size(grid_size), *_checked_box(box))
    if method not in get_args(Method):
        raise InputError(f"method: expected one of {', '.join(get_args(Method))}, found {method!r}")
    if not (math.isfinite(lipschitz) and lipschitz > 0):
        raise InputError(f"lipschitz: expected a finite number above 0, found {lipschitz!r}")
    values, stride = (sampler.everywhere(), 1) if method == "dense" else _sample_sparsely(sampler, lipschitz)
    return GridSamples(values, sampler.low, sampler.voxel * stride, sampler.n_queries)


class _Sampler:
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


def _sample_sparsely(sampler: _Sampler, lipschitz: float) -> tuple[Floats, int]:
    """Values, and how many samples of the whole grid lie between two of them."""
    most = max(_FREE_QUERIES, _MAX_QUERIES * sampler.size**2)
    stride = 1 << max(0, int(math.log2((sampler.size - 1) / _COARSE_CELLS)))
    values = sampler.everywhere(stride)
    known: Bools = np.ones(values.shape, dtype=np.bool_)
    steepest = max(float(np.abs(np.diff(values, axis=axis)).max()) for axis in range(3)) / (stride * sampler.voxel)
    lipschitz = max(lipschitz, _SLOPE_MARGIN * steepest)
    while stride > 1:
        reach = lipschitz * (stride // 2) * sampler.voxel
        finer = _halved(values, reach)
        finer_known: Bools = np.zeros(finer.shape, dtype=np.bool_)
        finer_known[::2, ::2, ::2] = known
        if stride == 2:
            finer, finer_known = sampler.within_box(finer, 1), sampler.within_box(finer_known, 1)
        open_ = np.flatnonzero(np.isnan(finer))
        if sampler.n_queries + len(open_) > most:
            break
        stride //= 2
        values, known = finer, finer_known
        _ask_in_turns(sampler, values, known, open_, stride, reach)
    values, known = sampler.within_box(values, stride), sampler.within_box(known, stride)
    _follow_surface(sampler, values, known, stride)
    return values, stride


def _halved(coarse: Floats, reach: float) -> Floats:
    """A lattice (2m - 1)^3 between the points of `coarse` (m, m, m), NaN where they leave the sign open.

    reach: how much the field may change over the new step. A new point lies amid 2, 4 or 8 old ones, 1, sqrt 2 or
    sqrt 3 steps off. Where one of these is further from zero than the way allows to bridge, it leaves its sign and
    what remains, a bound that serves the next halving as a value would.
    """
    fine = np.empty([2 * m - 1 for m in coarse.shape], dtype=np.float32)
    for between in product((0, 1), repeat=3):
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


def _ask_in_turns(sampler: _Sampler, values: Floats, known: Bools, open_: Indices, stride: int, reach: float) -> None:
    """Settle or ask the flat indices `open_`: middles of the coarser cells, of their faces, of their edges.

    reach: as `_halved` takes it.
    """
    values.ravel()[open_] = 0
    between = sum(index % 2 for index in np.unravel_index(open_, values.shape))
    for n_between in (3, 2, 1):
        points = open_[between == n_between]
        for start in range(0, len(points), _MAX_SETTLED):
            part = points[start : start + _MAX_SETTLED]
            values.ravel()[part] = _bounds(values, part, reach)
        points = points[values.ravel()[points] == 0]
        values.ravel()[points] = sampler(points, values.shape, stride)
        known.ravel()[points] = True


def _bounds(values: Floats, points: Indices, reach: float) -> Floats:
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


def _follow_surface(sampler: _Sampler, values: Floats, known: Bools, stride: int) -> None:
    """Ask at the unknown corners of all cells with both signs, and of those that get both signs by the answers."""
    corner = np.array(list(product((0, 1), repeat=3)))
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


def _neighbors(values: NDArray[Any], axis: int) -> Iterator[NDArray[Any]]:
    """The array without its last, and without its first layer along an axis."""
    for span in (slice(None, -1), slice(1, None)):
        yield values[(slice(None),) * axis + (span,)]


def _checked_size(grid_size: int) -> int:
    low, high = GRID_SIZES
    if isinstance(grid_size, bool) or not isinstance(grid_size, int | np.integer) or not low <= grid_size <= high:
        raise InputError(f"grid_size: expected an integer from {low} to {high}, found {grid_size!r}")
    return int(grid_size)


def _checked_box(box: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in box)
    except (TypeError, ValueError):
        raise InputError(f"box: expected two numbers (low, high), found {box!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"box: expected finite low < high, found {box!r}")
    return low, high
