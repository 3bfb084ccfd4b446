"""A field known at every second point of a grid, around its surface: the points between, evaluated only where in doubt.

Between two points of a row the cubic through them and the next ones is their mean less an eighth of the mean of their
second differences. Amid four or eight points of a lattice every axis takes its share off their mean in this way, which
is exact for cubic polynomials (a stencil of Deslauriers and Dubuc's subdivision, without its diagonal ends). Where one
end of a row is not known, the second difference at the other end stands for both, and the row is quadratic.

How far this can be trusted shows in how much second differences change along a row: little where the field is
smooth, as much as they are at an edge, in a part that is thinner than the rows' step, or at a jump.
"""

from __future__ import annotations

import numpy as np

from enpointe.meshing.lattice import (
    CORNERS,
    Bools,
    Floats,
    Indices,
    Sampler,
    bounds,
    follow_surface,
    halved,
    mixed_cells,
    points_of_cells,
)

_TOLERANCE = 0.2  # voxels that cubic and quadratic may differ by at a corner of the surface's cells
_SIGN_MARGIN = 3.0  # times that difference from zero, a value's sign is sure
_SPOTS = 512  # interpolated corners that are evaluated to estimate the error
_SPOT_ERROR = 0.15  # voxels that they may be off on average


def fill_between(sampler: Sampler, coarse: Floats, known: Bools, reach: float, most: int) -> Floats | None:
    """The grid (n, n, n) between a lattice of every second of its points.

    Interpolated are the points of the lattice's cells that the surface passes, and those beside them that might lie
    in a part too thin for the lattice. Of these are evaluated: all whose sign is not sure; the corners of the surface's
    cells where the interpolation is not to be trusted; and some hundred of the other corners, drawn evenly. Should
    these be badly off, so are all other corners, and the surface is that of a sparse sampling.

    Args:
        coarse, known: (m, m, m) values where known, bounds elsewhere; m is n // 2 + 1. The corners of the cells that
            the surface passes are known. More are evaluated, in place, where needed.
        reach: how much the field may change from one point of the grid to the next.
        most: queries that the sampler may have made in the end.

    Returns:
        Values at the corners of the surface's cells, bounds elsewhere; None where that might ask too much.
    """
    points = _points_in_doubt(sampler, coarse, known, reach)
    values, change = _interpolated(_within_box(coarse, known, sampler.size), points)
    unsure = ~(np.abs(values) >= _SIGN_MARGIN * change)  # or not to be computed at all
    rough = ~(change <= _TOLERANCE * sampler.voxel)
    if sampler.n_queries + np.count_nonzero(unsure | rough) > most:
        return None
    fine = sampler.within_box(halved(coarse, reach), 1)
    flat = np.ravel_multi_index(tuple(points), fine.shape)
    fine.ravel()[flat] = np.nan_to_num(values)
    evaluated: Bools = np.zeros(len(flat), dtype=np.bool_)

    def at_surface() -> Bools:
        corners: Bools = points_of_cells(mixed_cells(fine > 0)).ravel()[flat] & ~evaluated
        return corners

    def ask(chosen: Bools) -> Floats:
        """How far off the values there were."""
        answers = sampler(flat[chosen], fine.shape)
        errors: Floats = np.abs(answers - fine.ravel()[flat[chosen]])
        fine.ravel()[flat[chosen]] = answers
        evaluated[chosen] = True
        return errors

    ask(unsure)
    while (chosen := rough & at_surface()).any():
        ask(chosen)
    spots = _drawn(at_surface())
    if ask(spots).sum() > _SPOT_ERROR * sampler.voxel * np.count_nonzero(spots):
        while (chosen := at_surface()).any():
            ask(chosen)
    known_fine: Bools = np.zeros(fine.shape, dtype=np.bool_)
    known_fine[::2, ::2, ::2] = sampler.within_box(known, 2)
    known_fine.ravel()[flat] = True
    follow_surface(sampler, fine, known_fine, 1)
    return fine


def _points_in_doubt(sampler: Sampler, coarse: Floats, known: Bools, reach: float) -> Indices:
    """Indices (3, p) into the grid of points between those of the lattice, whose corners there are all known after.

    Those of cells that the surface passes; and those beside these whose sign the lattice leaves open.
    """
    tight = False
    while True:
        passed = points_of_cells(mixed_cells(coarse > 0), 2)
        beside = np.isnan(halved(coarse, reach)) & ~passed
        corners = np.unique(np.concatenate(_corners(np.array(np.nonzero(beside)), coarse.shape)))
        corners = corners[~known.ravel()[corners]]
        if not len(corners):
            break
        if tight:
            coarse.ravel()[corners] = sampler(corners, coarse.shape, 2)
            known.ravel()[corners] = True
            follow_surface(sampler, coarse, known, 2)
        else:  # most bounds are loose: they were left by a greater reach, or when less was known around them
            former, bound = coarse.ravel()[corners], bounds(coarse, corners, 2 * reach)
            tighter = (np.abs(bound) > np.abs(former)) & ((bound > 0) == (former > 0))
            coarse.ravel()[corners] = np.where(tighter, bound, former)
            tight = True
    doubt = sampler.within_box(passed | beside, 1)
    doubt[::2, ::2, ::2] = False
    return np.array(np.nonzero(doubt))


def _interpolated(coarse: Floats, points: Indices) -> tuple[Floats, Floats]:
    """Values (p,) at points (3, p) of the grid between those of `coarse`, which is NaN where not known.

    And how much cubic and quadratic differ there, at most: a sixteenth of the change of second differences, in rows
    of any direction through the corners around. NaN where not enough is known.
    """
    corners = _corners(points, coarse.shape)
    values: Floats = np.mean([coarse.ravel()[corner] for corner in corners], axis=0)
    change: Floats = np.full(len(values), np.nan, dtype=np.float32)
    for axis, odd in enumerate(points % 2 == 1):
        bend, jump = np.full((2, *coarse.shape), np.nan, dtype=np.float32)
        inner, before, after = ((slice(None),) * axis + (span,) for span in (slice(1, -1), slice(-1), slice(1, None)))
        bend[inner] = np.diff(coarse, 2, axis)
        step = np.abs(np.diff(bend, axis=axis))
        jump[before] = step
        jump[after] = np.fmax(jump[after], step)
        values[odd] -= _mean_of_known(np.stack([bend.ravel()[corner[odd]] for corner in corners])) / 8
        for corner in corners:
            np.fmax(change, jump.ravel()[corner] / 16, out=change)
    return values, change


def _corners(points: Indices, shape: tuple[int, ...]) -> list[Indices]:
    """Flat indices (p,) into the lattice of the eight corners around points (3, p), some of them the same."""
    base, odd = points // 2, points % 2
    return [np.ravel_multi_index(tuple(base + odd * np.array(corner)[:, None]), shape) for corner in CORNERS]


def _mean_of_known(values: Floats) -> Floats:
    """(8, p) -> (p,), NaN where all are."""
    count = np.count_nonzero(~np.isnan(values), axis=0)
    mean: Floats = np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean


def _within_box(coarse: Floats, known: Bools, size: int) -> Floats:
    """The lattice, NaN where not known or beyond the border: there it only repeats it."""
    values = np.where(known, coarse, np.float32(np.nan))
    if size % 2 == 0:
        values[-1] = values[:, -1] = values[:, :, -1] = np.nan
    return values


def _drawn(candidates: Bools) -> Bools:
    """Some of them, the same each time."""
    chosen: Bools = np.zeros(len(candidates), dtype=np.bool_)
    indices = np.flatnonzero(candidates)
    chosen[np.random.default_rng(0).permutation(indices)[:_SPOTS]] = True
    return chosen
