"""Distances of clouds and scores of sets: closed forms, invariances, and the definitions once more, slowly."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.measures import shape_metrics
from enpointe.evaluation.measures.shape_metrics import (
    chamfer_l1,
    chamfer_l2,
    coverage,
    earth_movers_distance,
    f_score,
    minimum_matching_distance,
    one_nearest_neighbor_accuracy,
    pairwise,
    set_scores,
)

Array = NDArray[Any]
DISTANCES = {"chamfer_l2": chamfer_l2, "chamfer_l1": chamfer_l1, "emd": earth_movers_distance}


def clouds(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=(*shape, 3)).astype(np.float32)


def grid() -> Array:
    """27 points, 1 apart."""
    return np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)


def nearest_by_hand(a: Array, b: Array) -> list[float]:
    return [min(math.dist(p, q) for q in b.tolist()) for p in a.tolist()]


def by_hand(name: str, a: Array, b: Array) -> float:
    """The definition, one pair of points after the other, and for EMD one matching after the other."""
    if name == "emd":
        costs = (
            sum(math.dist(p, b[j]) for p, j in zip(a, order, strict=True)) for order in permutations(range(len(b)))
        )
        return min(costs) / len(a)
    there, back = nearest_by_hand(a, b), nearest_by_hand(b, a)
    if name == "chamfer_l1":
        return (sum(there) / len(a) + sum(back) / len(b)) / 2
    return sum(d * d for d in there) / len(a) + sum(d * d for d in back) / len(b)


def accuracy_by_hand(first: Array, second: Array, name: str) -> float:
    """1-NNA as a classifier that is asked for each cloud, with that cloud left out."""
    labelled = [(cloud, 0) for cloud in first] + [(cloud, 1) for cloud in second]
    right = 0
    for i, (cloud, label) in enumerate(labelled):
        others = [(by_hand(name, cloud, other), said) for j, (other, said) in enumerate(labelled) if j != i]
        right += min(others)[1] == label
    return right / len(labelled)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_shifted_grid(shift: float) -> None:
    """By less than half of its spacing: every point's nearest is its own image."""
    a, b = grid(), grid() + np.array([0, shift, 0])
    assert chamfer_l2(a, b) == pytest.approx(2 * shift**2, abs=1e-6)
    assert chamfer_l1(a, b) == pytest.approx(shift, abs=1e-6)
    assert earth_movers_distance(a, b) == pytest.approx(shift, abs=1e-6)


def test_emd_of_a_translation_is_its_length() -> None:
    """However far: no matching moves the mean by less. Chamfer does not see it so."""
    a = clouds(0, 50)
    assert earth_movers_distance(a, a[::-1] + np.array([0.5, 0, 0])) == pytest.approx(0.5, abs=1e-6)
    assert chamfer_l1(a, a + np.array([0.5, 0, 0])) < 0.5


def test_concentric_spheres() -> None:
    directions = clouds(1, 60)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    inner, outer = directions, 3 * directions
    assert chamfer_l2(inner, outer) == pytest.approx(2 * 2**2, rel=1e-5)
    assert chamfer_l1(inner, outer) == pytest.approx(2, rel=1e-5)
    assert earth_movers_distance(inner, outer) == pytest.approx(2, rel=1e-5)


def test_emd_counts_how_many_are_where() -> None:
    """Three of four points at one end against one of four: two go the whole way, which chamfer does not see."""
    ends = np.array([[0.0, 0, 0], [1, 0, 0]])
    a, b = ends[[0, 0, 0, 1]], ends[[0, 1, 1, 1]]
    assert earth_movers_distance(a, b) == 0.5
    assert chamfer_l2(a, b) == 0


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("seed", range(4))
def test_distances_by_definition(name: str, seed: int) -> None:
    n = 5 if name == "emd" else 40
    a, b = clouds(seed, n), clouds(seed + 100, n if name == "emd" else 31)
    assert DISTANCES[name](a, b) == pytest.approx(by_hand(name, a, b), rel=1e-9)


@pytest.mark.parametrize(("name", "power"), [("chamfer_l2", 2), ("chamfer_l1", 1), ("emd", 1)])
def test_invariances(name: str, power: int) -> None:
    a, b = clouds(2, 30), clouds(3, 30)
    distance = DISTANCES[name]
    turn = np.linalg.qr(clouds(4, 3).astype(np.float64))[0]
    expected = distance(a, b)
    assert expected > 0
    assert distance(a, a[::-1]) == 0
    assert distance(b, a) == pytest.approx(expected, rel=1e-12)
    assert distance(a[::-1], np.roll(b, 7, axis=0)) == pytest.approx(expected, rel=1e-12)
    assert distance(a @ turn + 1, b @ turn + 1) == pytest.approx(expected, rel=1e-5)
    assert distance(4 * a, 4 * b) == pytest.approx(4**power * expected, rel=1e-12)


@pytest.mark.parametrize("name", DISTANCES)
def test_matrix(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry is the distance of its two clouds, wherever the blocks of columns end."""
    a, b = clouds(5, 4, 8), [*clouds(6, 3, 8)]
    monkeypatch.setattr(shape_metrics, "COLUMNS_AT_ONCE", 2)
    assert pairwise(a, b, name).tolist() == [[DISTANCES[name](x, y) for y in b] for x in a]
    within = pairwise(a, distance=name)
    assert (within == within.T).all()
    np.testing.assert_allclose(within, pairwise(a, a, name), rtol=1e-12)


def test_clouds_of_different_sizes() -> None:
    assert pairwise([clouds(7, 5), clouds(8, 9)], clouds(9, 3, 4)).shape == (2, 3)
    with pytest.raises(InputError, match=r"5 in a\[0\], 4 in b\[0\]"):
        pairwise([clouds(7, 5)], clouds(9, 3, 4), "emd")


def test_coverage_and_mmd_by_hand() -> None:
    between = [[1.0, 5.0, 9.0], [2.0, 4.0, 9.0]]  # both generated clouds are nearest to the first reference
    assert coverage(between) == pytest.approx(1 / 3)
    assert minimum_matching_distance(between) == pytest.approx((1 + 4 + 9) / 3)
    assert coverage([[1.0, 1.0]]) == 0.5
    assert coverage(1 - np.eye(3)) == 1


def test_accuracy_by_hand() -> None:
    """Places on a line: 0 and 10, 1 and 4. Only the 4 has its own set's cloud nearest."""
    a, b = np.array([0.0, 10.0]), np.array([1.0, 4.0])
    table = [np.abs(x[:, None] - y) for x, y in ((a, a), (a, b), (b, b))]
    assert one_nearest_neighbor_accuracy(*table) == 0.25


@pytest.mark.parametrize("name", DISTANCES)
def test_scores_by_definition(name: Any) -> None:
    a, b = clouds(10, 6, 5), clouds(11, 6, 5) + np.float32(0.2)
    scores = set_scores(a, b, name)
    table = [[by_hand(name, x, y) for y in b] for x in a]
    assert scores.one_nna == accuracy_by_hand(a, b, name)
    assert scores.mmd == pytest.approx(sum(min(row[j] for row in table) for j in range(6)) / 6, rel=1e-9)
    assert scores.coverage == len({row.index(min(row)) for row in table}) / 6


def test_one_distribution_separate_ones_and_a_copy() -> None:
    """Clouds of one kind cannot be told from one another, far ones always, and a copy is nearer than any other."""
    places = np.random.default_rng(12).normal(size=(2, 80, 1, 3))
    a, b = clouds(13, 80, 4) * 0.1 + places[0], clouds(14, 80, 4) * 0.1 + places[1]
    assert set_scores(a, b).one_nna == pytest.approx(0.5, abs=0.12)  # three standard deviations
    apart = set_scores(a[:20], b[:20] + 100)
    assert apart.one_nna == 1
    assert apart.coverage < 0.1
    copied = set_scores(a[:20], a[19::-1])
    assert (copied.one_nna, copied.coverage, copied.mmd) == (0, 1, 0)


def test_accuracy_of_ties_has_no_order() -> None:
    """All alike: nobody is nearer than anybody."""
    same = np.zeros((3, 3))
    assert one_nearest_neighbor_accuracy(same, same, same) == 0.5


def test_f_score() -> None:
    """Of four generated points three are on the reference, which has two more points far off."""
    generated = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [50, 0, 0]])
    reference = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [20, 0, 0], [30, 0, 0]])
    score = f_score(generated, reference, 0.5)
    assert score == pytest.approx((3 / 4, 3 / 5, 2 / (4 / 3 + 5 / 3)))
    assert f_score(reference, generated, 0.5)[:2] == score[1::-1]
    assert f_score(grid(), grid() + 100, 0.5) == (0, 0, 0)
    assert f_score(grid(), grid() + np.array([0.25, 0, 0]), 0.25).f_score == pytest.approx(0)  # as far is not nearer
    assert f_score(grid(), grid() + np.array([0.25, 0, 0]), 0.26) == (1, 1, 1)


@pytest.mark.parametrize("name", DISTANCES)
def test_bad_clouds(name: Any) -> None:
    good, broken = clouds(15, 4), clouds(15, 4)
    broken[2, 1] = np.nan
    for bad, said in ((broken, "NaN"), (np.zeros((0, 3)), "at least one"), (np.zeros((4, 2)), "shape"), (["x"], "num")):
        with pytest.raises(InputError, match=said):
            DISTANCES[name](good, bad)
    with pytest.raises(InputError, match=r"b\[1\].*NaN"):
        pairwise([good], [good, broken], name)
    with pytest.raises(InputError, match="b: expected at least one"):
        pairwise([good], [], name)


def test_bad_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    good = clouds(16, 3, 4)
    with pytest.raises(InputError, match="4 in a, 3 in b"):
        earth_movers_distance(good[0], good[1, :3])
    monkeypatch.setattr(shape_metrics, "MAX_EMD_POINTS", 3)
    with pytest.raises(InputError, match="at most 3"):
        earth_movers_distance(good[0], good[1])
    with pytest.raises(InputError, match="chamfer_l2, chamfer_l1, emd"):
        pairwise(good, good, "hausdorff")  # type: ignore[arg-type]
    for threshold in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="threshold"):
            f_score(good[0], good[1], threshold)
    with pytest.raises(InputError, match="3 generated and 2 reference"):
        set_scores(good, good[:2])
    with pytest.raises(InputError, match="equal size"):
        one_nearest_neighbor_accuracy(np.ones((3, 3)), np.ones((3, 2)), np.ones((2, 2)))
    for matrix in (np.zeros((0, 3)), [[math.nan]], [[-1.0]], [1.0]):
        with pytest.raises(InputError, match="between"):
            coverage(matrix)
