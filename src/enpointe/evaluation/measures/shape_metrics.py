"""Distances between clouds, and scores of a set of generated clouds against a set of real ones.

Lengths are in the clouds' own unit: nothing is centered or scaled here, so that clouds of different origin are
to be normalized by the caller, and all in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from enpointe.core.errors import InputError
from enpointe.geometry.checks import numeric, triples

Doubles = NDArray[np.float64]
Clouds = Sequence[ArrayLike] | NDArray[Any]
"""Clouds (N, 3), finite, N at least 1 and free to differ between them; or all of them in one array (n, N, 3)."""

Distance = Literal["chamfer_l2", "chamfer_l1", "emd"]

MAX_EMD_POINTS = 4096
"""Points in a cloud whose earth mover's distance is computed: 128 MiB of costs, and the time is cubic."""

COLUMNS_AT_ONCE = 256
"""Clouds whose search trees are held together in a matrix of distances: some 40 MB at 4,096 points."""


class FScore(NamedTuple):
    """How much of two clouds agrees to within a threshold; all from 0 to 1."""

    precision: float
    """Share of the generated points that have a reference point nearer than the threshold."""
    recall: float
    """Share of the reference points that have a generated point nearer than the threshold."""
    f_score: float
    """Their harmonic mean, 0 where both are 0."""


@dataclass(frozen=True)
class SetScores:
    """A set of generated clouds against reference clouds, by one distance."""

    mmd: float
    """Minimum matching distance, see `minimum_matching_distance`."""
    coverage: float
    """0 to 1, see `coverage`."""
    one_nna: float
    """0 to 1, best at 0.5, see `one_nearest_neighbor_accuracy`."""


def chamfer_l2(a: ArrayLike, b: ArrayLike) -> float:
    """Chamfer distance of squared lengths: mean_a min_b |a - b|^2 + mean_b min_a |a - b|^2.

    The "CD" of PointFlow (arXiv 1906.12320; with means in place of its sums, as is usual, so that the number of points
    does not matter) and the "CD-L2" of the completion literature.

    Args:
        a, b: (N, 3) and (M, 3), finite.

    Returns:
        From 0, in squared units of length.

    Raises:
        InputError: another shape, no points, NaN or infinity.
    """
    return _chamfer_l2(_Searchable.of(a, "a"), _Searchable.of(b, "b"))


def chamfer_l1(a: ArrayLike, b: ArrayLike) -> float:
    """Chamfer distance of plain lengths: (mean_a min_b |a - b| + mean_b min_a |a - b|) / 2.

    The "Chamfer-L1" of Occupancy Networks (arXiv 1812.03828: mean of accuracy and completeness) and the
    "CD-L1" of PCN (arXiv 1808.00671). Arguments and errors as `chamfer_l2` has them.
    """
    return _chamfer_l1(_Searchable.of(a, "a"), _Searchable.of(b, "b"))


def earth_movers_distance(a: ArrayLike, b: ArrayLike) -> float:
    """The least mean of |a_i - b_p(i)| over all one-to-one matchings p (arXiv 1707.02392, per point).

    Exact, by the solution of the assignment problem, where papers' GPU code approximates it by an auction and
    comes out higher. The time grows with the third power of the number of points: half a second at 2,048.

    Args:
        a, b: (N, 3), finite, of equal N, at most MAX_EMD_POINTS.

    Raises:
        InputError: another shape, unequal sizes, too many points, NaN or infinity.
    """
    return _emd(_Searchable.of(a, "a"), _Searchable.of(b, "b"))


def f_score(generated: ArrayLike, reference: ArrayLike, threshold: float) -> FScore:
    """Precision, recall and F-score at a distance (Knapitsch et al. 2017; arXiv 1905.03678).

    Args:
        generated: (N, 3).
        reference: (M, 3).
        threshold: above 0, in the clouds' unit; only what is nearer counts, not what is just as far. 1 % of
            the reference's side is the usual choice.

    Raises:
        InputError: no clouds, or no such threshold.
    """
    if not (math.isfinite(threshold) and threshold > 0):
        raise InputError(f"threshold: expected a number above 0, found {threshold!r}")
    there, back = _nearest(_Searchable.of(generated, "generated"), _Searchable.of(reference, "reference"))
    precision, recall = float((there < threshold).mean()), float((back < threshold).mean())
    both = precision + recall
    return FScore(precision, recall, 2 * precision * recall / both if both else 0.0)


def pairwise(a: Clouds, b: Clouds | None = None, distance: Distance = "chamfer_l2") -> Doubles:
    """The distance of each cloud of `a` to each of `b`, or of `a` to one another where no `b` is given.

    Args:
        a, b: clouds; see `Clouds`. For "emd" all of the same size.
        distance: the function of that name; "emd" is `earth_movers_distance`.

    Returns:
        (len(a), len(b)) float64; without `b` (len(a), len(a)), symmetric, with zeros on the diagonal, for half the
        work. Beside it and the clouds, the trees of COLUMNS_AT_ONCE clouds are in memory.

    Raises:
        InputError: no clouds, an unknown distance, or a cloud that the distance refuses (it is named by index).
    """
    if distance not in get_args(Distance):
        raise InputError(f"distance: expected one of {', '.join(get_args(Distance))}, found {distance!r}")
    columns, of, to = (a, "a", "a") if b is None else (b, "a", "b")
    for clouds, name in ((a, of), (columns, to)):
        if len(clouds) == 0:
            raise InputError(f"{name}: expected at least one cloud, found none")
    measure = _MEASURES[distance]
    matrix = np.zeros((len(a), len(columns)))
    for first in range(0, len(columns), COLUMNS_AT_ONCE):
        last = min(first + COLUMNS_AT_ONCE, len(columns))
        held = [_Searchable.of(columns[j], f"{to}[{j}]") for j in range(first, last)]
        for i in range(len(a) if b is not None else last):
            row = _Searchable.of(a[i], f"{of}[{i}]")
            for j in range(first if b is not None else max(first, i + 1), last):
                matrix[i, j] = measure(row, held[j - first])
    return matrix if b is not None else matrix + matrix.T


def minimum_matching_distance(between: ArrayLike) -> float:
    """The mean over the reference clouds of the distance to the generated cloud nearest to each: MMD, lower is better.

    Achlioptas et al., arXiv 1707.02392; Yang et al., arXiv 1906.12320.

    Args:
        between: (generated, reference) distances, as `pairwise(generated, reference)` gives.

    Raises:
        InputError: no such matrix.
    """
    return float(_distances(between, "between").min(axis=0).mean())


def coverage(between: ArrayLike) -> float:
    """The share of the reference clouds that are nearest to at least one generated cloud: COV, 0 to 1.

    Sources, argument and errors as `minimum_matching_distance` has them. Of reference clouds equally near to a
    generated one, the first counts. Its ceiling is generated / reference where fewer are generated.
    """
    matrix = _distances(between, "between")
    return float(len(np.unique(matrix.argmin(axis=1))) / matrix.shape[1])


def one_nearest_neighbor_accuracy(within_a: ArrayLike, between: ArrayLike, within_b: ArrayLike) -> float:
    """How often a cloud's nearest other cloud is of its own set: 1-NNA (Yang et al., arXiv 1906.12320).

    0.5 where the sets cannot be told apart, 1 where they are separate, below 0.5 where one copies the other. Where
    own and other set are equally near, a cloud counts one half, so that the order of the clouds does not matter.

    Args:
        within_a: (n, n) distances inside the first set; the diagonal does not matter.
        between: (n, n) from the first to the second.
        within_b: (n, n) inside the second.

    Returns:
        0 to 1.

    Raises:
        InputError: other matrices, sets of different sizes (0.5 would mean nothing), or fewer than two clouds each.
    """
    own_a, across, own_b = (
        _distances(values, name)
        for values, name in ((within_a, "within_a"), (between, "between"), (within_b, "within_b"))
    )
    n = len(own_a)
    if n < 2 or {own_a.shape, across.shape, own_b.shape} != {(n, n)}:
        found = f"{own_a.shape}, {across.shape} and {own_b.shape}"
        raise InputError(f"distances: expected two sets of equal size, at least 2 clouds each, found matrices {found}")
    own = np.concatenate([_without_diagonal(own_a).min(axis=1), _without_diagonal(own_b).min(axis=1)])
    other = np.concatenate([across.min(axis=1), across.min(axis=0)])
    return float(np.where(own == other, 0.5, own < other).mean())


def set_scores(generated: Clouds, reference: Clouds, distance: Distance = "chamfer_l2") -> SetScores:
    """MMD, coverage and 1-NNA of two sets of as many clouds.

    Raises:
        InputError: as `pairwise` and `one_nearest_neighbor_accuracy` do.
    """
    if len(generated) != len(reference) or len(generated) < 2:
        found = f"{len(generated)} generated and {len(reference)} reference clouds"
        raise InputError(f"clouds: expected two sets of equal size, at least 2 clouds each, found {found}")
    between = pairwise(generated, reference, distance)
    within = [pairwise(clouds, distance=distance) for clouds in (generated, reference)]
    accuracy = one_nearest_neighbor_accuracy(within[0], between, within[1])
    return SetScores(minimum_matching_distance(between), coverage(between), accuracy)


class _Searchable(NamedTuple):
    """A checked cloud and the tree of its points."""

    points: Doubles
    tree: cKDTree
    name: str

    @classmethod
    def of(cls, values: ArrayLike, name: str) -> _Searchable:
        points = triples(values, name).astype(np.float64)
        return cls(points, cKDTree(points), name)


def _nearest(a: _Searchable, b: _Searchable) -> tuple[Doubles, Doubles]:
    """The distance of each point to the other cloud: (N,) and (M,)."""
    return b.tree.query(a.points)[0], a.tree.query(b.points)[0]


def _chamfer_l2(a: _Searchable, b: _Searchable) -> float:
    there, back = _nearest(a, b)
    return float((there**2).mean() + (back**2).mean())


def _chamfer_l1(a: _Searchable, b: _Searchable) -> float:
    there, back = _nearest(a, b)
    return float((there.mean() + back.mean()) / 2)


def _emd(a: _Searchable, b: _Searchable) -> float:
    if len(a.points) != len(b.points):
        found = f"{len(a.points)} in {a.name}, {len(b.points)} in {b.name}"
        raise InputError(f"earth mover's distance: expected clouds of equally many points, found {found}")
    if len(a.points) > MAX_EMD_POINTS:
        raise InputError(
            f"earth mover's distance: expected at most {MAX_EMD_POINTS} points, found {len(a.points)} in {a.name}"
        )
    costs = cdist(a.points, b.points)
    return float(costs[linear_sum_assignment(costs)].mean())


_MEASURES: dict[str, Callable[[_Searchable, _Searchable], float]] = {
    "chamfer_l2": _chamfer_l2,
    "chamfer_l1": _chamfer_l1,
    "emd": _emd,
}


def _distances(values: ArrayLike, name: str) -> Doubles:
    """`values` as a matrix of distances, which are from 0 and finite."""
    matrix = numeric(values, name).astype(np.float64, copy=False)
    if matrix.ndim != 2 or matrix.size == 0:
        raise InputError(f"{name}: expected a matrix of distances, found shape {matrix.shape}")
    if not (np.isfinite(matrix) & (matrix >= 0)).all():
        raise InputError(f"{name}: expected finite distances from 0, found others")
    return matrix


def _without_diagonal(matrix: Doubles) -> Doubles:
    matrix = matrix.copy()
    np.fill_diagonal(matrix, np.inf)
    return matrix
