"""Cameras, images by OpenGL and by rays, and clouds fused of them, on shapes whose surface is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.core.errors import DeviceError, InputError
from enpointe.data.asset_clouds import scatter
from enpointe.data.build.fuse import FusedCloud, dense_cloud, fuse, usable_pixels
from enpointe.data.sources.kaykit import KayKit
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.io.assets.model import Material, Model
from enpointe.render.camera import Camera, look_at_center, random_cameras
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.renderers.raster import RasterRenderer
from enpointe.render.view import View

KAYKIT = Path(__file__).parents[2].parent / "shared" / "data" / "kaykit"
SIZE = 128
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)
FRONT = np.array([0.0, -1, 0])


def triangles_model(triangles: NDArray[np.float64], materials: tuple[Material, ...], material: object) -> Model:
    faces = len(triangles)
    uv, shade = np.zeros((faces, 3, 2), np.float32), np.ones((faces, 3, 3), np.float32)
    return Model(np.asarray(triangles, float), uv, shade, np.broadcast_to(np.asarray(material), faces), materials)


def sphere() -> Model:
    return triangles_model(
        trimesh.creation.icosphere(subdivisions=3, radius=0.5).triangles, (Material(np.array([0.8, 0.3, 0.1])),), 0
    )


def box() -> Model:
    """1 x 0.6 x 0.3, each side of its own color."""
    mesh = trimesh.creation.box((1, 0.6, 0.3))
    side = np.argmax(np.abs(mesh.face_normals), axis=1) * 2 + (mesh.face_normals.sum(axis=1) > 0)
    colors = [RED, GREEN, BLUE, 1 - RED, 1 - GREEN, np.array([0.2, 0.4, 0.6], np.float32)]
    return triangles_model(mesh.triangles, tuple(Material(color) for color in colors), side)


def torus() -> Model:
    mesh = trimesh.creation.torus(major_radius=0.35, minor_radius=0.15, major_sections=96, minor_sections=48)
    return triangles_model(mesh.triangles, (Material(np.array([0.1, 0.5, 0.9]), linear=True),), 0)


def from_sphere(p: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.abs(np.linalg.norm(p, axis=1) - 0.5)


def from_box(p: NDArray[np.floating]) -> NDArray[np.floating]:
    q = np.abs(p) - np.array([0.5, 0.3, 0.15])
    return np.abs(np.linalg.norm(q.clip(0), axis=1) + q.max(axis=1).clip(max=0))


def from_torus(p: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.abs(np.hypot(np.linalg.norm(p[:, :2], axis=1) - 0.35, p[:, 2]) - 0.15)


def card(texture: NDArray[np.uint8], **material: object) -> Model:
    """A square, x and z in ±0.5, at y = 0, wearing a texture upright as seen from the front."""
    corners = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
    uv = (corners[:, [0, 2]] + 0.5).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    surface = Material(**{"color": np.ones(3, np.float32), "texture": texture, **material})  # type: ignore[arg-type]
    return Model(corners[faces], uv[faces], np.ones((2, 3, 3), np.float32), np.zeros(2, int), (surface,))


@pytest.fixture(scope="module", params=["gl", "rays", "software"])
def renderer(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    with opened(request.param) as found:
        yield found


def opened(name: str) -> Renderer:
    try:
        return RENDERERS[name].for_views()
    except DeviceError as error:
        pytest.skip(str(error))


def cameras(n: int = 20, size: int = SIZE) -> tuple[Camera, ...]:
    return random_cameras(n, np.random.default_rng(5), size=size)


def middle_of(view: View, right: float = 0.0, up: float = 0.0) -> NDArray[np.integer]:
    """The color where the point (right, 0, up) is seen from the front."""
    pixels, _ = view.camera.project(np.array([[right, 0, up]]))
    column, row = pixels[0].astype(int)
    return view.color[row, column].astype(int)


# --- cameras ---


@given(seed=st.integers(0, 2**32), n=st.integers(1, 30), fov=st.floats(5, 100))
@settings(max_examples=30, deadline=None)
@pytest.mark.slow
def test_what_is_projected_comes_back(seed: int, n: int, fov: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.5, 0.5, (50, 3))
    for camera in random_cameras(n, rng, size=200, fov_degrees=fov):
        pixels, depth = camera.project(points)
        assert (pixels > 0).all()
        assert (pixels < 200).all()
        assert (depth > 0).all()
        np.testing.assert_allclose(camera.back_project(pixels, depth), points, atol=1e-9)
        np.testing.assert_allclose(camera.camera_from_world @ camera.world_from_camera, np.eye(4), atol=1e-12)
        assert np.linalg.det(camera.world_from_camera[:3, :3]) == pytest.approx(1)
        assert camera.fov_degrees == pytest.approx(fov)


def test_cameras_stand_as_near_as_they_see_the_whole_cube() -> None:
    corners = np.indices((2, 2, 2)).reshape(3, 8).T - 0.5
    for camera in cameras(50):
        offset = np.abs(camera.project(corners)[0] / SIZE - 0.5).max()
        assert 0.48 < offset < 0.5


def test_cameras_are_spread_evenly() -> None:
    directions = np.stack([camera.position / np.linalg.norm(camera.position) for camera in cameras(20)])
    cosine = directions @ directions.T - 2 * np.eye(20)
    assert np.rad2deg(np.arccos(cosine.max())) > 30
    assert np.linalg.norm(directions.mean(axis=0)) < 0.05


def test_each_direction_is_uniform_over_the_seeds() -> None:
    first = np.stack([random_cameras(2, np.random.default_rng(s), size=8)[0].position for s in range(400)])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    assert np.abs(first.mean(axis=0)).max() < 0.1
    np.testing.assert_allclose((first**2).mean(axis=0), 1 / 3, atol=0.06)


def test_images_are_upright_and_the_front_faces_minus_y() -> None:
    camera = look_at_center(FRONT, size=100)
    pixels, _ = camera.project(np.array([[0.0, 0, 0], [0.4, 0, 0], [0, 0, 0.4]]))
    middle, right, top = pixels
    np.testing.assert_allclose(middle, 50)
    assert right[0] > 60
    assert right[1] == pytest.approx(50)
    assert top[1] < 40
    above = look_at_center(np.array([0.0, 0, 1]), size=100)
    assert above.project(np.array([[0, -0.4, 0.0]]))[0][0, 1] > 60


def test_rays_go_through_the_centers_of_pixels() -> None:
    camera = cameras(1)[0]
    points = camera.position + 1.5 * camera.rays()
    pixels, depth = camera.project(points.reshape(-1, 3))
    row, column = np.indices((SIZE, SIZE))
    np.testing.assert_allclose(pixels.reshape(SIZE, SIZE, 2), np.stack([column, row], axis=-1) + 0.5, atol=1e-6)
    np.testing.assert_allclose(depth, 1.5)


def test_a_camera_survives_json() -> None:
    camera = cameras(3)[1]
    back = Camera.of_header(json.loads(json.dumps(camera.header())))
    np.testing.assert_array_equal(back.world_from_camera, camera.world_from_camera)
    assert (back.focal, back.size) == (camera.focal, camera.size)


@pytest.mark.parametrize("change", [{"focal": -1}, {"size": 0}, {"world_from_camera": [[1]]}, {"focal": "far"}])
def test_a_damaged_camera_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="camera"):
        Camera.of_header({**cameras(1)[0].header(), **change})


def test_cameras_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="at least one camera"):
        cameras(0)
    with pytest.raises(InputError, match="fov_degrees"):
        random_cameras(1, np.random.default_rng(0), size=8, fov_degrees=180)
    with pytest.raises(InputError, match="direction"):
        look_at_center(np.zeros(3), size=8)


def test_the_unit_frame_is_centered_with_longest_side_one() -> None:
    model = triangles_model(box().triangles * 7 + 100, box().materials, 0).normalized()
    low, high = model.triangles.min(axis=(0, 1)), model.triangles.max(axis=(0, 1))
    np.testing.assert_allclose(low, -high, atol=1e-12)
    assert (high - low).max() == pytest.approx(1)
    for bad in (np.zeros((0, 3, 3)), np.ones((2, 3, 3)), np.array([[[-1e308] * 3, [1e308] * 3, [0] * 3]])):
        with pytest.raises(InputError):
            triangles_model(bad, (Material(RED),), 0).normalized()


# --- images ---


@pytest.mark.parametrize(
    ("shape", "distance"), [(sphere, from_sphere), (box, from_box), (torus, from_torus)], ids=["sphere", "box", "torus"]
)
@pytest.mark.slow
def test_fused_points_lie_on_the_surface_and_all_over_it(
    renderer: Renderer, shape: Callable[[], Model], distance: Callable[..., NDArray[np.floating]]
) -> None:
    model = shape()
    cloud = fuse(renderer.render(model, cameras()), seed=1)
    assert len(cloud.points) == 4096
    away = distance(cloud.points)
    assert away.mean() <= 0.004
    assert np.quantile(away, 0.99) <= 0.015
    # Of exact shapes much more can be expected.
    assert away.max() <= 0.004
    painted = np.stack([material.color for material in model.materials])[cloud.material]
    assert np.abs(cloud.colors / 255 - painted).max() <= 1 / 255
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-5)
    step = 1e-3 * cloud.normals
    outward = distance(cloud.points + 20 * step) - distance(cloud.points + 10 * step)
    assert np.mean(outward > 0.009) > 0.95
    area = trimesh.triangles.area(model.triangles)
    face, weights = scatter(area, 5000, np.random.default_rng(0))
    surface = np.einsum("nk,nkd->nd", weights, model.triangles[face])
    assert cKDTree(cloud.points).query(surface)[0].max() < 0.06


def test_a_box_has_each_side_in_its_color(renderer: Renderer) -> None:
    views = renderer.render(box(), cameras(6))
    cloud = dense_cloud(views)
    axis, positive = np.divmod(cloud.material, 2)
    place = cloud.points[np.arange(len(axis)), axis] * np.array([1, 1 / 0.6, 1 / 0.3])[axis]
    np.testing.assert_allclose(place, np.where(positive, 0.5, -0.5), atol=2e-3)
    assert len(cloud.points) == sum(usable_pixels(view).sum() for view in views)
    assert set(cloud.view) == set(range(6))


def test_textures_stand_upright_and_multiply_as_their_format_says(renderer: Renderer) -> None:
    texture = np.full((4, 4, 4), 255, np.uint8)
    texture[:2, :2, :3] = 255 * RED
    texture[:2, 2:, :3] = 255 * GREEN
    texture[2:, :2, :3] = 255 * BLUE
    texture[2:, 2:, :3] = 200
    camera = look_at_center(FRONT, size=SIZE)
    (view,) = renderer.render(card(texture), [camera])
    for (right, up), color in {(-1, 1): 255 * RED, (1, 1): 255 * GREEN, (-1, -1): 255 * BLUE}.items():
        np.testing.assert_allclose(middle_of(view, 0.3 * right, 0.3 * up), [*color, 255])
    half = np.full(3, 0.5, np.float32)
    gray: dict[bool, Any] = {
        False: 100,
        True: 255 * to_srgb(to_linear(np.float32(200 / 255)) * to_linear(np.float32(0.5))),
    }
    for linear, expected in gray.items():
        (view,) = renderer.render(card(texture, color=half, linear=linear), [camera])
        np.testing.assert_allclose(middle_of(view, 0.3, -0.3)[:3], expected, atol=1)
    (behind,) = renderer.render(card(texture), [look_at_center(-FRONT, size=SIZE)])
    np.testing.assert_allclose(middle_of(behind, -0.3, 0.3), [*(255 * RED), 255])


def test_colors_of_corners_multiply_in_linear_light(renderer: Renderer) -> None:
    model = card(np.full((1, 1, 4), 255, np.uint8))
    model.shade[:] = 0.25
    (view,) = renderer.render(model, [look_at_center(FRONT, size=SIZE)])
    np.testing.assert_allclose(middle_of(view)[:3], 255 * float(to_srgb(np.float32(0.25))), atol=1)


def test_images_are_interpolated_and_swatches_are_not(renderer: Renderer) -> None:
    texture = np.full((1, 2, 4), 255, np.uint8)
    texture[0, 0, :3] = 0
    camera = look_at_center(FRONT, size=SIZE)
    (smooth,) = renderer.render(card(texture), [camera])
    np.testing.assert_allclose(middle_of(smooth, 0.125)[:3], 0.75 * 255, atol=4)
    (swatches,) = renderer.render(card(texture, smooth=False), [camera])
    assert set(np.unique(swatches.color[swatches.opaque])) == {0, 255}


def test_what_a_texture_cuts_away_shows_what_is_behind(renderer: Renderer) -> None:
    """Leaves: the transparent half is a window, and its color does not creep into the other."""
    texture = np.zeros((8, 8, 4), np.uint8)
    texture[:, 4:] = (0, 200, 0, 255)
    leaf = card(texture)
    wall = leaf.triangles + np.array([0, 0.5, 0])
    model = Model(
        np.concatenate([leaf.triangles, wall]), np.tile(leaf.uv, (2, 1, 1)), np.tile(leaf.shade, (2, 1, 1)),
        np.array([0, 0, 1, 1]), (*leaf.materials, Material(BLUE)),
    )  # fmt: skip
    (view,) = renderer.render(model, [look_at_center(FRONT, size=SIZE)])
    assert middle_of(view, -0.2).tolist() == [0, 0, 255, 255]
    assert middle_of(view, 0.2).tolist() == [0, 200, 0, 255]
    leafy = view.opaque & (view.material == 0)
    assert (np.abs(view.color[leafy][:, :3].astype(int) - [0, 200, 0]) <= 1).all()
    assert view.depth[leafy].max() + 0.4 < view.depth[view.opaque & (view.material == 1)].min()


def test_coverage_is_the_share_of_the_pixel(renderer: Renderer) -> None:
    """A card's image has the area that projection says, to a hundredth of a pixel's row."""
    camera = look_at_center(FRONT, size=SIZE)
    (view,) = renderer.render(card(np.full((1, 1, 4), 255, np.uint8)), [camera])
    side = camera.focal / float(camera.project(np.zeros((1, 3)))[1][0])
    assert view.color[..., 3].sum() / 255 == pytest.approx(side**2, rel=0.01)
    nothing = view.color[..., 3] == 0
    assert (view.color[nothing] == 0).all()
    assert np.isinf(view.depth[nothing]).all()
    assert (view.material[nothing] == -1).all()
    assert np.isfinite(view.depth[view.opaque]).all()
    assert view.opaque.sum() > 0.95 * side**2
    assert (view.material == np.where(np.isfinite(view.depth), 0, -1)).all()


def agree(first: list[View], second: list[View]) -> None:
    """Depth within 0.5 % of the unit, outlines within a pixel, colors within 4/255, all but a few pixels."""
    for a, b in zip(first, second, strict=True):
        both = a.opaque & b.opaque
        assert np.mean(np.abs(a.depth[both] - b.depth[both]) > 0.005) < 0.002
        assert np.mean(np.abs(a.color[both].astype(int) - b.color[both]).max(axis=1) > 4) < 0.01
        assert np.mean(a.material[both] != b.material[both]) < 0.005
        assert np.abs(a.color[..., 3].astype(int) - b.color[..., 3]).mean() < 0.1
        assert np.abs(a.color[both].mean(axis=0) - b.color[both].mean(axis=0)).max() < 1


@pytest.mark.parametrize("shape", [box, torus])
def test_opengl_and_rays_agree_on_shapes(shape: Callable[[], Model]) -> None:
    with opened("gl") as gl, opened("rays") as rays:
        agree(gl.render(shape(), cameras(5)), rays.render(shape(), cameras(5)))


@pytest.mark.parametrize("key", ["kaykit/city-builder-bits/car_taxi", "kaykit/restaurant-bits/crate_carrots"])
def test_opengl_and_rays_agree_on_a_real_model(key: str) -> None:
    if not KAYKIT.is_dir():
        pytest.skip(f"{KAYKIT} is absent")
    model = next(asset for asset in KayKit().open(KAYKIT) if asset.key == key).load().normalized()
    with opened("gl") as gl, opened("rays") as rays:
        views = gl.render(model, cameras(5))
        agree(views, rays.render(model, cameras(5)))
    cloud = fuse(views, 2048)
    face, weights = scatter(trimesh.triangles.area(model.triangles), 100_000, np.random.default_rng(0))
    surface = np.einsum("nk,nkd->nd", weights, model.triangles[face])
    tree = cKDTree(surface[2048:])
    # As far from samples of the surface as other samples are: on it.
    away, samples_away = tree.query(cloud.points)[0], tree.query(surface[:2048])[0]
    assert away.mean() < samples_away.mean() + 0.0005
    assert np.quantile(away, 0.99) < np.quantile(samples_away, 0.99) + 0.003


def test_auto_renders_with_whatever_there_is() -> None:
    with RasterRenderer() as renderer:
        (view,) = renderer.render(sphere(), cameras(1))
    assert renderer.name.startswith(("gl, ", "rays, "))
    assert view.opaque.any()


def test_without_any_backend_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moderngl", "embreex.rtcore_scene"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match=r"libegl1.*enpointe\[data\]"):
        RasterRenderer()


def test_an_empty_model_is_refused(renderer: Renderer) -> None:
    with pytest.raises(InputError, match="triangles"):
        renderer.render(triangles_model(np.zeros((0, 3, 3)), (Material(RED),), 0), cameras(1))


# --- fusing ---


def flat_view(alpha: NDArray[np.uint8]) -> View:
    """A white wall one unit before the camera, covering as much of each pixel as alpha says."""
    size = len(alpha)
    color = np.dstack([np.full((size, size, 3), 255, np.uint8), alpha])
    depth = np.where(alpha > 0, np.float32(1), np.float32(np.inf))
    return View(look_at_center(FRONT, size=size), color, depth, np.zeros((size, size), np.int16))


def test_outlines_are_dropped_and_wires_are_kept() -> None:
    alpha = np.zeros((16, 16), np.uint8)
    alpha[2:8, 2:8] = 128
    alpha[3:7, 3:7] = 255
    alpha[12, :] = 191
    alpha[14, :] = 64
    kept = usable_pixels(flat_view(alpha))
    assert (kept == ((alpha == 255) | (alpha == 191))).all()
    cloud = dense_cloud([flat_view(alpha)])
    assert len(cloud.points) == 32
    np.testing.assert_allclose(cloud.normals[:16], np.tile(FRONT, (16, 1)), atol=1e-6)
    wire, position = slice(16, 32), flat_view(alpha).camera.position
    np.testing.assert_allclose(cloud.normals[wire, 0], 0, atol=1e-6)
    assert (np.einsum("nd,nd->n", cloud.normals[wire], position - cloud.points[wire]) > 0).all()


def test_the_same_seed_gives_the_same_cloud() -> None:
    with RasterRenderer() as renderer:
        views = renderer.render(box(), cameras(6, 64))
    first, again, other = fuse(views, 300, 1), fuse(views, 300, 1), fuse(views, 300, 2)
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    assert (first.points != other.points).any()
    assert len(np.unique(first.points, axis=0)) == 300


def spacing(cloud: FusedCloud, n: int) -> float:
    return float(cKDTree(cloud.points[:n]).query(cloud.points[:n], k=2)[0][:, 1].min())


@pytest.mark.parametrize("with_fpsample", [True, False])
def test_any_beginning_of_the_cloud_is_even(monkeypatch: pytest.MonkeyPatch, with_fpsample: bool) -> None:
    if with_fpsample:
        pytest.importorskip("fpsample", reason="fpsample is not installed")
    else:
        monkeypatch.setitem(sys.modules, "fpsample", None)
    with RasterRenderer() as renderer:
        cloud = fuse(renderer.render(sphere(), cameras(20, 64)), 600)
    # Of n points spread as well as can be on a sphere of radius 1/2, neighbors are 1.9 / sqrt(n) apart.
    for n in (100, 600):
        assert spacing(cloud, n) > 1.1 / np.sqrt(n)


def test_few_pixels_are_repeated_and_none_is_an_error() -> None:
    alpha = np.zeros((16, 16), np.uint8)
    with pytest.raises(InputError, match="found none"):
        fuse([flat_view(alpha)])
    alpha[5, 5] = alpha[5, 6] = 255
    cloud = fuse([flat_view(alpha)], 50)
    assert len(np.unique(cloud.points, axis=0)) == 2
    assert len(cloud.colors) == len(cloud.normals) == len(cloud.view) == 50
    with pytest.raises(InputError, match="at least one point"):
        fuse([flat_view(alpha)], 0)
