"""Filters: figures of shapes that are known, duplicates against brute force, buckets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.build import filters
from enpointe.data.build.config import Thresholds
from enpointe.data.shards import descriptors
from enpointe.data.shards.buckets import cluster
from enpointe.io.assets.model import Material, Model
from enpointe.render.camera import random_cameras
from enpointe.render.view import View

THRESHOLDS = Thresholds(flat=0.02, empty=0.01, unseen=0.4, duplicate=0.05)


def square(z: float, n: int = 10) -> NDArray[np.float64]:
    """Triangles (2 n n, 3, 3) of the unit square at a height."""
    at = np.linspace(-0.5, 0.5, n + 1)
    low, high = at[:-1], at[1:]
    triangles = [
        [(a, c, z), (b, c, z), (b, d, z)] if upper else [(a, c, z), (b, d, z), (a, d, z)]
        for a, b in zip(low, high, strict=True)
        for c, d in zip(low, high, strict=True)
        for upper in (True, False)
    ]
    return np.array(triangles)


def model(triangles: NDArray[np.float64]) -> Model:
    f = len(triangles)
    return Model(
        triangles, np.zeros((f, 3, 2), np.float32), np.ones((f, 3, 3), np.float32), np.zeros(f, np.int64),
        (Material(np.ones(3, np.float32)),),
    )  # fmt: skip


def test_thickness_of_known_shapes() -> None:
    rng = np.random.default_rng(0)
    slab = rng.uniform(-0.5, 0.5, (100_000, 3)) * [1, 1, 0.12]
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    assert filters.thickness(slab @ turn + 5) == pytest.approx(0.12 / np.sqrt(12), rel=0.01)
    ball = rng.standard_normal((100_000, 3))
    ball /= 2 * np.linalg.norm(ball, axis=1, keepdims=True)
    assert filters.thickness(ball) == pytest.approx(0.5 / np.sqrt(3), rel=0.01)
    assert filters.thickness(slab * [1, 1, 0]) < 1e-9
    assert filters.thickness(np.zeros((1, 3))) == 0


def test_coverage_counts_pixels_covered_by_half() -> None:
    camera = random_cameras(1, np.random.default_rng(0), size=10)[0]
    color, depth = np.zeros((10, 10, 4), np.uint8), np.full((10, 10), np.inf, np.float32)
    color[:5, :, 3], depth[:5] = 255, 1
    color[0, :, 3] = 127
    view = View(camera, color, depth, np.full((10, 10), -1, np.int16))
    assert filters.coverage([view]) == pytest.approx(0.4)


@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_unseen_is_the_share_of_surface_without_points(hidden: int) -> None:
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.uniform(-0.5, 0.5, (4000, 2)), np.full((4000, 1), 0.5)], axis=1)
    triangles = np.concatenate([square(0.5)] + [square(0.2 * i - 0.5) for i in range(hidden)])
    for points in (seen, np.repeat(seen[:500], 4, axis=0)):
        share = filters.unseen_share(model(triangles), points, rng)
        assert share == pytest.approx(hidden / (hidden + 1), abs=0.05)


def test_verdicts_name_reason_figure_and_threshold() -> None:
    def judged(**figures: float | None) -> object:
        found: dict[str, Any] = {"coverage": 0.2, "thickness": 0.2, **figures}
        return filters.judge(filters.Figures(**found), THRESHOLDS)

    assert judged() is None
    assert judged(unseen=0.4) is None
    assert judged(coverage=0.009) == filters.Verdict("nearly empty", 0.009, 0.01)
    assert judged(thickness=0.019) == filters.Verdict("flat", 0.019, 0.02)
    assert judged(unseen=0.41) == filters.Verdict("mostly unseen", 0.41, 0.4)
    assert judged(coverage=0.0, thickness=None) == filters.Verdict("nearly empty", 0.0, 0.01)


def box_cloud(size: tuple[float, float, float], color: float, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.5, 0.5, (4096, 3))
    face = rng.integers(0, 3, 4096)
    points[np.arange(4096), face] = np.sign(points[np.arange(4096), face]) / 2
    return descriptors.descriptor(points * size, np.full((4096, 3), color))


def test_descriptors_tell_shapes_and_colours_but_not_samples_apart() -> None:
    cube, again = box_cloud((1, 1, 1), 0.5, 0), box_cloud((1, 1, 1), 0.5, 1)
    slab, red = box_cloud((1, 1, 0.5), 0.5, 2), box_cloud((1, 1, 1), 0.8, 3)
    same = float(np.linalg.norm(cube - again))
    assert 4 * same < np.linalg.norm(cube - slab)
    assert 4 * same < np.linalg.norm(cube - red)
    assert np.linalg.norm(cube) <= 1
    text = descriptors.to_text(cube)
    np.testing.assert_allclose(descriptors.of_text(text), cube, atol=1 / 32767)
    for bad in ("?", text[:-4], ""):
        with pytest.raises(InputError, match="expected a descriptor"):
            descriptors.of_text(bad)


@pytest.mark.parametrize(("block", "tail"), [(512, 4096), (16, 20)])
def test_duplicates_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch, block: int, tail: int) -> None:
    monkeypatch.setattr(descriptors, "_BLOCK", block)
    monkeypatch.setattr(descriptors, "_TAIL", tail)
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((60, 16)).astype(np.float32)
    rows = centers[rng.integers(0, 60, 400)] + (0.01 * rng.standard_normal((400, 16))).astype(np.float32)
    found = descriptors.duplicates(rows, 0.06)
    kept: list[int] = []
    for i, row in enumerate(rows):
        apart = np.linalg.norm(rows[kept] - row, axis=1)
        if kept and apart.min() < 0.06:
            first, distance = found[i]
            assert first == kept[int(apart.argmin())]
            assert distance == pytest.approx(apart.min(), abs=1e-5)
        else:
            assert i not in found
            kept.append(i)
    assert 60 < len(kept) < 250
    assert descriptors.duplicates(rows, 0.0) == {}
    assert descriptors.duplicates(rows[:0], 1.0) == {}


def test_clusters_are_numbered_by_size() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [5, 50, 20])
    rows = np.eye(3)[truth] + 0.05 * rng.standard_normal((75, 3))
    label = cluster(rows, 3, seed=0)
    np.testing.assert_array_equal(label, np.array([2, 0, 1])[truth])
    np.testing.assert_array_equal(label, cluster(rows, 3, seed=0))
    assert set(cluster(np.zeros((5, 2)), 3, seed=0)) == {0}
