"""A scalar field sampled on a cubic grid, everywhere or only where its zero surface may pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from enpointe.core.errors import InputError
from enpointe.meshing.interpolated_grid import fill_between
from enpointe.meshing.lattice import Bools, Field, Floats, Indices, Sampler, bounds, follow_surface, halved

__all__ = ["BOX", "GRID_SIZES", "Field", "Floats", "GridSamples", "Indices", "Method", "sample_grid"]

Method = Literal["sparse", "dense", "interpolated"]

BOX = (-0.51, 0.51)
"""The unit frame with the small margin that the Point-E release takes (a side of 1.02)."""
GRID_SIZES = (8, 1024)

_COARSE_CELLS = 12  # along a side, at least; half of them where every second point is the finest
_LIPSCHITZ = {"sparse": 1.5, "dense": 1.5, "interpolated": 1.2}  # the default
_SLOPE_MARGIN = 1.1  # a slope seen between coarse samples is at most the field's own
_MAX_SETTLED = 1 << 18  # at a time: some 200 bytes each
_MAX_QUERIES = 24  # times grid_size^2 in all; an object's surface takes up to 12
_FREE_QUERIES = 200_000  # below that no field is too rough


@dataclass(frozen=True, eq=False)
class GridSamples:
    """Values of a field at the points of a cubic grid.

    values: (n, n, n) float32, axes x, y, z; n is grid_size, or less for a rough field, see `sample_grid`. The corners
        of every cell that the surface passes hold the field's own values, or from an interpolated sampling nearly so;
        from a sparse sampling the others hold its sign and a smaller or equal size.
    low, voxel: sample (i, j, k) lies at low + voxel * (i, j, k).
    n_queries: at how many points the field was evaluated.
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
    lipschitz: float | None = None,
) -> GridSamples:
    """Sample `field` at grid_size points along each side of the cube box[0]..box[1], both ends included.

    "dense" asks at all the points, as the release does. "sparse" asks at every 2^k-th point, then halves the step
    until it is one. Where |f(p) - f(q)| <= L |p - q|, a point at distance d from a known value v has the sign of v
    if |v| > L d, so only points whose sign nothing known around them settles are evaluated, the middles of cells
    first, then those of faces, then those of edges, as each settles many of the next; at the end all the corners of
    all the cells with both signs are. For a field with Lipschitz constant L the surface is therefore that of the
    dense grid, without exception. L is `lipschitz` (a true distance has 1; by default 1.5, 1.2 for "interpolated"), or
    1.1 times the steepest slope between coarse samples if that is more. Where a field is steeper yet, cells with both
    signs still grow along the surface until it is closed: each of its pieces comes out whole if any cell of it was
    found.

    "interpolated" is for fields that are smooth and costly to ask: it asks so at every second point only, and computes
    the points between where their neighbors agree on how the field bends; see `interpolated_grid.fill_between`. It
    asks two to three times less than "sparse" for a surface that is off by hundredths of a voxel.

    Queries grow as grid_size^2, memory as grid_size^3 with some ten bytes a sample (128: 20 MB, 1024: 10 GB). The
    surface of a rough field, such as a network's around a scattered cloud, winds through the whole box and would take
    a large part of grid_size^3. Where the next halving might ask at more than 24 grid_size^2 points in all (200,000 on
    small grids), sampling stops before it, with every 2^j-th point of the grid: a coarser surface, at a bounded cost.

    InputError for a grid_size outside 8..1024 or another wrong argument; MeshError for a value that is not finite.
    """
    sampler = Sampler(field, _checked_size(grid_size), *_checked_box(box))
    if method not in get_args(Method):
        raise InputError(f"method: expected one of {', '.join(get_args(Method))}, found {method!r}")
    if lipschitz is None:
        lipschitz = _LIPSCHITZ[method]
    if not (math.isfinite(lipschitz) and lipschitz > 0):
        raise InputError(f"lipschitz: expected a finite number above 0, found {lipschitz!r}")
    if method == "dense":
        values, stride = sampler.everywhere(), 1
    elif method == "sparse":
        values, stride = _sample_sparsely(sampler, lipschitz)
    else:
        values, stride = _sample_every_second(sampler, lipschitz)
    return GridSamples(values, sampler.low, sampler.voxel * stride, sampler.n_queries)


def _sample_sparsely(sampler: Sampler, lipschitz: float) -> tuple[Floats, int]:
    """Values, and how many samples of the whole grid lie between two of them."""
    values, known, stride, _ = _refined(sampler, lipschitz, finest=1)
    values, known = sampler.within_box(values, stride), sampler.within_box(known, stride)
    follow_surface(sampler, values, known, stride)
    return values, stride


def _sample_every_second(sampler: Sampler, lipschitz: float) -> tuple[Floats, int]:
    """The same, with what lies between every second sample interpolated."""
    coarse, known, stride, lipschitz = _refined(sampler, lipschitz, finest=2)
    if stride == 2:
        span = (slice(sampler.size // 2 + 1),) * 3  # to the border, or one beyond
        coarse, known = np.ascontiguousarray(coarse[span]), np.ascontiguousarray(known[span])
        follow_surface(sampler, coarse, known, stride)
        reach = lipschitz / _SLOPE_MARGIN * sampler.voxel
        fine = fill_between(sampler, coarse, known, reach, _most_queries(sampler.size))
        return (sampler.within_box(coarse, stride), stride) if fine is None else (fine, 1)
    coarse, known = sampler.within_box(coarse, stride), sampler.within_box(known, stride)
    follow_surface(sampler, coarse, known, stride)
    return coarse, stride


def _refined(sampler: Sampler, lipschitz: float, finest: int) -> tuple[Floats, Bools, int, float]:
    """Lattices halved down to a stride of `finest`, or less far if that would ask too much.

    Returns the values and bounds, which of them are values, the stride, and the Lipschitz constant that was taken.
    """
    most = _most_queries(sampler.size)
    stride = finest << max(0, int(math.log2((sampler.size - 1) / _COARSE_CELLS)))
    values = sampler.everywhere(stride)
    known: Bools = np.ones(values.shape, dtype=np.bool_)
    steepest = max(float(np.abs(np.diff(values, axis=axis)).max()) for axis in range(3)) / (stride * sampler.voxel)
    lipschitz = max(lipschitz, _SLOPE_MARGIN * steepest)
    while stride > finest:
        reach = lipschitz * (stride // 2) * sampler.voxel
        finer = halved(values, reach)
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
    return values, known, stride, lipschitz


def _most_queries(size: int) -> int:
    return max(_FREE_QUERIES, _MAX_QUERIES * size**2)


def _ask_in_turns(sampler: Sampler, values: Floats, known: Bools, open_: Indices, stride: int, reach: float) -> None:
    """Settle or ask the flat indices `open_`: middles of the coarser cells, of their faces, of their edges.

    reach: as `halved` takes it.
    """
    values.ravel()[open_] = 0
    between = sum(index % 2 for index in np.unravel_index(open_, values.shape))
    for n_between in (3, 2, 1):
        points = open_[between == n_between]
        for start in range(0, len(points), _MAX_SETTLED):
            part = points[start : start + _MAX_SETTLED]
            values.ravel()[part] = bounds(values, part, reach)
        points = points[values.ravel()[points] == 0]
        values.ravel()[points] = sampler(points, values.shape, stride)
        known.ravel()[points] = True


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
