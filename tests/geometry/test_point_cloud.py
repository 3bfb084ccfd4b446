"""PointCloud: what it accepts, the unit frame, selection, neighbors; the recorded vectors of the release."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.geometry import PointCloud
from enpointe.geometry.subsample import farthest_point, random, voxel

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def make_cloud(n: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(rng.normal(size=(n, 3)), rng.random((n, 3)), {"part": rng.random(n)})


ONE = [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("points", "colors", "channels", "message"),
    [
        ([[0, 0]], ONE, {}, r"points: expected shape \(n, 3\), found \(1, 2\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}, "points: expected at least one row"),
        ([[0, 0, np.inf]], ONE, {}, "points: expected finite numbers, found 1 of 3"),
        ([[0, 0, 1e39]], ONE, {}, "points: expected finite numbers"),
        ([["a", "b", "c"]], ONE, {}, "points: expected an array of numbers"),
        ([[0, 0, 0], [0, 0]], ONE, {}, "points: expected an array of numbers"),
        (ONE, [*ONE, *ONE], {}, "colors: expected 1 rows, one for each point, found 2"),
        (ONE, [[0, 0, 255]], {}, r"colors: expected values in \[0, 1\], found 0 to 255"),
        (ONE, [[0, -0.1, 0]], {}, r"colors: expected values in \[0, 1\], found -0.1 to 0"),
        (ONE, ONE, {"part": [1, 2]}, r"channel 'part': expected shape \(1,\), found \(2,\)"),
        (ONE, ONE, {"part": [np.nan]}, "channel 'part': expected finite"),
    ],
)
def test_what_is_no_cloud(points: Any, colors: Any, channels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PointCloud(points, colors, channels)


def test_arrays_become_float32_and_rounding_is_clipped() -> None:
    cloud = PointCloud(np.ones((2, 3), int), [[0.0, 1.0001, -0.0001], [0.0, 0.0, 0.0]], {"part": [1, 2]})
    assert {a.dtype.name for a in (cloud.points, cloud.colors, cloud.channels["part"])} == {"float32"}
    assert cloud.colors.tolist() == [[0, 1, 0], [0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.floats(1e-3, 1e3), st.floats(-100, 100), st.integers(0, 99))
def test_normalized_and_back(n: int, scale: float, shift: float, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(n, 3)) * scale + shift
    cloud = PointCloud(points, np.zeros((n, 3)))
    unit, frame = cloud.normalized()
    low, high = unit.points.min(axis=0), unit.points.max(axis=0)
    assert (high - low).max() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(low + high, 0, atol=1e-5)
    np.testing.assert_allclose(frame.to_world(unit.points), cloud.points, rtol=1e-6, atol=1e-5 * scale)


def test_one_place_has_no_frame() -> None:
    with pytest.raises(InputError, match="expected an extent above zero, found 3 at one place"):
        PointCloud(np.ones((3, 3)), np.zeros((3, 3))).normalized()


def test_select() -> None:
    cloud = make_cloud(10)
    some = cloud.select([3, 3, -1])
    assert np.array_equal(some.points, cloud.points[[3, 3, 9]])
    assert np.array_equal(some.channels["part"], cloud.channels["part"][[3, 3, 9]])
    for wrong in ([10], [-11], [], [[1]], [0.5]):
        with pytest.raises(InputError, match="indices: expected"):
            cloud.select(wrong)


def test_average_of_neighbors() -> None:
    points = [(0.0, 0, 0), (0.1, 0, 0), (0.2, 0, 0), (5.0, 0, 0), (5.0, 0, 0)]
    colors = [(0.0, 0, 0), (0.3, 0, 0), (0.6, 0, 0), (1.0, 1, 1), (0.0, 0, 0)]
    cloud = PointCloud(points, colors, {"part": [1, 2, 3, 4, 5]})
    some = cloud.select([0, 4], average_neighbors=True)
    np.testing.assert_allclose(some.colors, [[0.3, 0, 0], [0.5, 0.5, 0.5]], atol=1e-6)
    assert some.channels["part"].tolist() == [2, 4.5]
    assert some.points.tolist() == [[0, 0, 0], [5, 0, 0]]
    np.testing.assert_allclose(cloud.select(range(5), average_neighbors=True).colors, cloud.colors)


def test_neighbors_against_all_distances() -> None:
    cloud, queries = make_cloud(60), make_cloud(20, seed=1).points
    everything = np.linalg.norm(queries[:, None].astype(float) - cloud.points[None], axis=2)
    distances, indices = cloud.neighbors(queries, 4)
    assert np.array_equal(indices, np.argsort(everything, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(everything, axis=1)[:, :4])
    assert np.array_equal(cloud.nearest(queries), indices[:, 0])
    for k in (0, 61):
        with pytest.raises(InputError, match="k: expected 1 to 60"):
            cloud.neighbors(queries, k)


# Which points to keep


def test_each_farthest_point_is_the_farthest() -> None:
    points = make_cloud(80).points.astype(np.float64)
    chosen = farthest_point(points, 30, start=4)
    assert chosen[0] == 4
    for i in range(1, 30):
        gap = np.linalg.norm(points[:, None] - points[chosen[:i]][None], axis=2).min(axis=1)
        assert gap[chosen[i]] == pytest.approx(gap.max(), rel=1e-6)


def test_farthest_points_of_copies_are_different_indices() -> None:
    assert sorted(farthest_point(np.ones((5, 3)), 5, start=2)) == [0, 1, 2, 3, 4]


def test_generators_decide() -> None:
    points = make_cloud(300).points
    for draw in (farthest_point, random):
        a, b, c = (draw(points, 20, generator=np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
        assert len(set(a.tolist())) == 20


def test_voxel_keeps_the_most_central_point_of_each_cube() -> None:
    points = [[0.1, 0.1, 0.1], [0.5, 0.5, 0.5], [0.8, 0.8, 0.8], [-0.1, 0.5, 0.5], [1.5, 0, 0], [1.5, 0, 0]]
    assert voxel(points, 1).tolist() == [1, 3, 4]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 3), st.integers(0, 50))
def test_voxel_one_for_each_occupied_cube(side: float, seed: int) -> None:
    points = make_cloud(100, seed).points.astype(np.float64)
    cells = {tuple(cell) for cell in np.floor(points / side)}
    kept = [tuple(cell) for cell in np.floor(points[voxel(points, side)] / side)]
    assert len(kept) == len(set(kept))
    assert set(kept) == cells


def test_what_cannot_be_kept() -> None:
    points, rng = make_cloud(10).points, np.random.default_rng(0)
    for n in (0, 11):
        with pytest.raises(InputError, match=f"n: expected 1 to 10, the number of points, found {n}"):
            farthest_point(points, n, start=0)
        with pytest.raises(InputError, match=f"n: expected 1 to 10, the number of points, found {n}"):
            random(points, n, generator=rng)
    wrong: tuple[dict[str, Any], ...] = ({}, {"start": 1, "generator": rng})
    for options in wrong:
        with pytest.raises(InputError, match="either start or generator"):
            farthest_point(points, 3, **options)
    with pytest.raises(InputError, match="start: expected 0 to 9, found 10"):
        farthest_point(points, 3, start=10)
    for side in (0, -1, np.nan, 1e-300):
        with pytest.raises(InputError, match="side: expected"):
            voxel(points, side)


# Recorded from the release


@pytest.fixture
def recorded(golden: Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]) -> dict[str, NDArray[Any]]:
    return {name: value.numpy() for name, value in golden("point_cloud")[0].items()}


def recorded_cloud(recorded: dict[str, NDArray[Any]]) -> PointCloud:
    return PointCloud(recorded["coords"], np.stack([recorded[name] for name in "RGB"], axis=1))


@pytest.mark.golden
def test_golden_farthest_points(recorded: dict[str, NDArray[Any]]) -> None:
    cloud, expected = recorded_cloud(recorded), recorded["fps64.coords"]
    chosen = farthest_point(cloud.points, len(expected), start=5)
    assert np.array_equal(cloud.select(chosen).points, expected)
    assert np.array_equal(cloud.select(chosen).colors[:, 0], recorded["fps64.R"])
    averaged = cloud.select(chosen, average_neighbors=True)
    np.testing.assert_allclose(averaged.colors[:, 0], recorded["fps64_avg.R"], rtol=2e-5)


@pytest.mark.golden
def test_golden_nearest(recorded: dict[str, NDArray[Any]]) -> None:
    assert np.array_equal(recorded_cloud(recorded).nearest(recorded["queries"]), recorded["nearest"])


@pytest.mark.golden
def test_golden_ply(recorded: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    (tmp_path / "theirs.ply").write_bytes(recorded["ply"].tobytes())
    recorded_cloud(recorded).save(tmp_path / "ours.ply")
    theirs, ours = PointCloud.load(tmp_path / "theirs.ply"), PointCloud.load(tmp_path / "ours.ply")
    assert np.array_equal(theirs.points, ours.points)
    # The release cuts a color down to a byte, we round it: the most that lies between is one step.
    np.testing.assert_allclose(theirs.colors, ours.colors, atol=1 / 255 + 1e-6)


@pytest.mark.parametrize("name", ["pc_corgi", "pc_cube_stack"])
def test_clouds_of_the_release(name: str) -> None:
    if not (DATA / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz in {DATA}")
    cloud = PointCloud.load(DATA / f"{name}.npz")
    with np.load(DATA / f"{name}.npz") as arrays:
        assert np.array_equal(cloud.points, arrays["coords"])
        assert np.array_equal(cloud.colors[:, 2], arrays["B"])
    assert cloud.channels == {}


def test_a_cloud_says_what_it_is_in_one_line() -> None:
    points = np.zeros((4096, 3))
    points[0] = (-0.3125, 0.5, 12345)
    assert repr(PointCloud(points, np.zeros((4096, 3)))) == (
        "PointCloud(4,096 points, x -0.312..0, y 0..0.5, z 0..1.23e+04, with colors)"
    )
    assert repr(make_cloud(2)).endswith("with colors, channels part)")


def test_a_pickle_holds_no_more_than_the_cloud() -> None:
    cloud = make_cloud(1000)
    before = pickle.dumps(cloud)
    assert cloud.nearest(cloud.points[:3]).tolist() == [0, 1, 2]
    assert pickle.dumps(cloud) == before
    again: PointCloud = pickle.loads(before)  # noqa: S301 - our own
    assert np.array_equal(again.points, cloud.points)
    assert np.array_equal(again.channels["part"], cloud.channels["part"])
    assert again.nearest(cloud.points[:3]).tolist() == [0, 1, 2]
