"""Shapes from all sides: closed surfaces, true colors, what is culled and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.geometry import Mesh, PointCloud
from enpointe.render.software.axes import view_axes
from enpointe.render.software.orthographic import mesh_painter, views

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = np.array([face for a, b, c, d in SIDES for face in ((a, b, c), (a, c, d))])


def sphere(n: int = 4096) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) / 2


@pytest.mark.parametrize(("n", "columns", "shape"), [(8, 4, (2, 4)), (5, 4, (2, 4)), (3, 4, (1, 3)), (1, 4, (1, 1))])
def test_grid(n: int, columns: int, shape: tuple[int, int]) -> None:
    image = views(PointCloud(sphere(50), np.zeros((50, 3))), n, 32, columns=columns)
    assert image.dtype == np.uint8
    assert image.shape == (shape[0] * 32, shape[1] * 32, 3)
    filled = [
        (image[r * 32 : r * 32 + 32, c * 32 : c * 32 + 32] < 255).any()
        for r in range(shape[0])
        for c in range(shape[1])
    ]
    assert filled == [i < n for i in range(shape[0] * shape[1])]


def test_a_cloud_of_4096_points_looks_closed_and_round() -> None:
    size = 256
    image = views(PointCloud(sphere() * 7 + 100, np.full((4096, 3), 0.5)), 1, size)
    ink = np.all(image < 250, axis=2)
    rows, columns = np.nonzero(ink)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(int(height) - int(width)) <= 3
    assert 0.8 * size < height < size  # fills the image, within its margin
    y, x = np.mgrid[:size, :size] + 0.5
    inside = np.hypot(y - size / 2, x - size / 2) < 0.43 * size
    assert ink[inside].mean() > 0.999
    assert not ink[0].any()
    assert not ink[:, 0].any()


def test_colors_stay_true() -> None:
    """Shading scales a color; no channel gains on another."""
    color = np.array([0.8, 0.4, 0.2])
    for shape in (
        PointCloud(sphere(), np.tile(color, (4096, 1))),
        Mesh(CORNERS, CUBE, np.tile(color, (8, 1))),
    ):
        image = views(shape, 2, 64, columns=1).reshape(-1, 3).astype(float)
        solid = image[image[:, 2] < 0.2 * 255 + 1]
        assert len(solid) > 500
        np.testing.assert_allclose(solid[:, 1], solid[:, 0] / 2, atol=1.5)
        assert solid[:, 0].max() > 0.9 * 0.8 * 255


def test_a_few_points_and_one() -> None:
    for n in (1, 2, 16, 17):
        points = np.linspace(-1, 1, n)[:, None] * [1, 0.5, 0.2]
        assert (views(PointCloud(points, np.zeros((n, 3))), 2, 32) < 50).any()


def test_mesh_image_of_a_cube_seen_from_the_front() -> None:
    """A box twice as wide as high, from straight ahead: its front alone, in its proportions."""
    box = Mesh((CORNERS - 0.5) * [2, 1, 1], CUBE, np.where(CORNERS[:, 1:2] == 0, [[1, 0, 0]], [[0, 0, 1]]))
    vertices = box.vertices.astype(float)
    color, depth = mesh_painter(vertices, box, 2.5)(view_axes(0, 0), 100)
    seen = np.isfinite(depth)
    rows, columns = np.nonzero(seen)
    assert [int(np.ptp(axis)) + 1 for axis in (rows, columns)] == [40, 80]
    assert (color[seen][:, 0] > 0.6).all()
    assert (color[seen][:, 2] == 0).all()
    np.testing.assert_allclose(depth[seen], -0.5, atol=1e-6)


def test_open_meshes_show_both_sides() -> None:
    sheet = Mesh([[0, 0, 0], [1, 0, 0], [0, 0, 1]], [[0, 1, 2]])
    image = views(sheet, 2, 32, columns=1)
    assert (image[:32] < 250).any()
    assert (image[32:] < 250).any()


def test_a_mesh_inside_out_looks_the_same() -> None:
    color = np.tile([0.9, 0.3, 0.3], (8, 1))
    assert np.array_equal(views(Mesh(CORNERS, CUBE, color), 1, 64), views(Mesh(CORNERS, CUBE[:, ::-1], color), 1, 64))


def test_what_is_no_image() -> None:
    cloud = PointCloud(np.eye(3), np.eye(3))
    for options in ({"n": 0}, {"size": 1}, {"columns": 0}):
        with pytest.raises(InputError, match="views: expected n >= 1"):
            views(cloud, **options)
