"""Images for networks: where things stand in them, what hides what, and that they never change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.geometry import Mesh, PointCloud
from enpointe.render.software.perspective import MARGIN, RenderConfig, render_cloud, render_mesh
from enpointe.render.software.shading import BARE

FRONT = RenderConfig(views=1, size=96, elevation=0, azimuth=0, shading=False)
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = np.array([face for a, b, c, d in SIDES for face in ((a, b, c), (a, c, d))])


def sphere(n: int = 2048, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) / 2


def two_halves(n: int = 2048) -> PointCloud:
    """A ball, red where x > 0 and blue where x < 0."""
    points = sphere(n)
    return PointCloud(points, np.where(points[:, :1] > 0, [1.0, 0, 0], [0, 0, 1.0]))


def painted(image: np.ndarray, config: RenderConfig) -> np.ndarray:
    return (image != np.round(np.array(config.background) * 255).astype(np.uint8)).any(axis=2)


def test_the_eye_is_where_the_angles_say() -> None:
    """From azimuth 0 the eye is at -y with +x to the right; from 90 it is at +x; from above, +y is up."""
    cloud = two_halves()
    front, right, back, left = render_cloud(cloud, replace(FRONT, views=4))
    assert (front[48, 24] == (0, 0, 255)).all()
    assert (front[48, 72] == (255, 0, 0)).all()
    assert (back[48, 24] == (255, 0, 0)).all()
    assert (right[48, 24] == (255, 0, 0)).all()
    assert (right[48, 72] == (255, 0, 0)).all()
    assert (left[48, 48] == (0, 0, 255)).all()
    points = sphere()
    top = PointCloud(points, np.where(points[:, 2:] > 0, [0, 1.0, 0], [1.0, 1, 0]))
    assert (render_cloud(top, FRONT)[0][24, 48] == (0, 255, 0)).all()
    assert (render_cloud(top, replace(FRONT, elevation=80))[0][48, 48] == (0, 255, 0)).all()
    assert (render_cloud(top, replace(FRONT, elevation=-80))[0][48, 48] == (255, 255, 0)).all()


@pytest.mark.parametrize("fov", [5, 40, 90])
def test_a_ball_fills_the_image_but_for_the_margin(fov: float) -> None:
    image = render_cloud(two_halves(), replace(FRONT, fov=fov))[0]
    rows, columns = np.nonzero(painted(image, FRONT))
    for found in (rows, columns):
        assert found.min() + found.max() == pytest.approx(95, abs=3)
        assert found.max() - found.min() + 1 == pytest.approx(96 / MARGIN, rel=0.08)


@pytest.mark.parametrize("count", [1024, 4096])
def test_a_surface_looks_closed(count: int) -> None:
    """What is painted inside a ball's outline is all of it, whatever the number of points, and swells it little."""
    image = render_cloud(two_halves(count), FRONT)[0]
    rows, columns = np.nonzero(painted(image, FRONT))
    side = columns.max() - columns.min() + 1
    y, x = np.mgrid[:96, :96]
    inside = (y - rows.mean()) ** 2 + (x - columns.mean()) ** 2 < (0.9 * side / 2) ** 2
    assert painted(image, FRONT)[inside].mean() > 0.995


def test_nearer_points_hide_farther_ones() -> None:
    cloud = PointCloud([[0, -0.5, 0], [0, 0.5, 0]], [[1, 0, 0], [0, 0, 1]])
    front, back = render_cloud(cloud, replace(FRONT, views=2))
    assert (front[painted(front, FRONT)][:, 2] < 240).all()
    assert (front[48, 48] == (255, 0, 0)).all()
    assert (back[48, 48] == (0, 0, 255)).all()


def test_nearer_things_look_larger() -> None:
    """Two equal squares one behind the other differ by the ratio of their distances."""
    side = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) / 8
    near, far = side - np.array([0.5, 0.5, 0]), side + np.array([0.5, 0.5, 0])
    mesh = Mesh(
        np.concatenate([near, far]), [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.repeat(np.eye(3)[[0, 2]], 4, 0)
    )
    config = replace(FRONT, size=256, fov=60, oversampling=1)
    image = render_mesh(mesh, config)[0]
    red, blue = ((image == paint).all(axis=2).sum() for paint in ((255, 0, 0), (0, 0, 255)))
    # The eye stands where the near square's outer edge, 0.625 beside the axis and 0.5 before the middle, just fits.
    distance = 0.625 * MARGIN / np.tan(np.deg2rad(30)) + 0.5
    assert np.sqrt(red / blue) == pytest.approx((distance + 0.5) / (distance - 0.5), rel=0.06)


def test_colors_run_over_a_face_as_they_do_in_space() -> None:
    """Half-way along a plank that leads away from the eye is half-way between its colors, not between its pixels."""
    plank = np.array([[-1, -4, -1], [1, -4, -1], [1, 4, -1], [-1, 4, -1]], dtype=float)
    mesh = Mesh(plank, [[0, 1, 2], [0, 2, 3]], [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    config = replace(FRONT, size=256, elevation=20, fov=70, oversampling=1, background=(1, 0, 0))
    column = render_mesh(mesh, config)[0][:, 128]
    shown = np.flatnonzero(column[:, 0] == column[:, 1])
    middle = np.interp(127.5, column[shown[::-1], 0], shown[::-1])
    assert middle == pytest.approx(128, abs=2)  # the middle of the plank is the middle of the image
    assert shown.max() - middle > 1.5 * (middle - shown.min())


def test_a_mesh_and_its_points_look_alike() -> None:
    mesh = Mesh(CORNERS - 0.5, CUBE)
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (6000, 3))
    points[np.arange(6000), rng.integers(3, size=6000)] = rng.choice([-0.5, 0.5], 6000)
    config = RenderConfig(views=3, size=96)
    drawn = render_mesh(mesh, config).astype(int)
    splats = render_cloud(PointCloud(points, np.full((6000, 3), BARE)), config).astype(int)
    assert np.abs(drawn - splats).mean() < 6
    assert np.abs(drawn - drawn[::-1]).mean() > 6  # views do differ


def test_a_face_is_seen_from_both_sides() -> None:
    mesh = Mesh([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], [[0, 1, 2]], np.eye(3))
    front, back = render_mesh(mesh, replace(FRONT, views=2))
    np.testing.assert_allclose(front.astype(int), back[:, ::-1].astype(int), atol=40)
    assert painted(front, FRONT).mean() > 0.3


def test_the_same_bytes_again_in_any_frame_and_order() -> None:
    cloud = two_halves(700)
    config = RenderConfig(views=2, size=64)
    images = render_cloud(cloud, config)
    assert images.shape == (2, 64, 64, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, render_cloud(cloud, config))
    moved = render_cloud(PointCloud(cloud.points * 8 + 2, cloud.colors), config)
    assert np.abs(images.astype(int) - moved).mean() < 0.5
    shuffled = cloud.select(np.random.default_rng(0).permutation(700))
    assert np.abs(images.astype(int) - render_cloud(shuffled, config)).mean() < 0.5


def test_a_shape_that_is_nearly_nothing() -> None:
    for points in ([[3.0, 2, 1]], [[0, 0, 0]] * 40, [[0, 0, -0.5], [0, 0, 0.5]]):
        images = render_cloud(PointCloud(points, np.ones((len(points), 3))), RenderConfig(views=1, size=32))
        assert painted(images[0], RenderConfig()).any()
    flat = Mesh([[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 1, 2]])
    assert not painted(render_mesh(flat, RenderConfig(views=1, size=32))[0], RenderConfig()).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"views": 0},
        {"size": 7},
        {"size": 99.5},
        {"elevation": 90},
        {"fov": 0},
        {"fov": float("nan")},
        {"disc": 0},
        {"background": (1, 1)},
        {"background": (1, 1, 2)},
        {"oversampling": 5},
        {"views": True},
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        RenderConfig(**wrong)  # type: ignore[arg-type]
