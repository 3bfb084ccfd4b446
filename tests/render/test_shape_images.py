"""Images of shapes by renderers of models, Blender among them, held against the software renderer's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from enpointe.core.errors import DeviceError
from enpointe.geometry import Mesh, PointCloud
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.render import shape_images
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.renderers.blender import BlenderRenderer
from enpointe.render.renderers.software import SoftwareRenderer
from enpointe.render.shape_images import on_ground
from enpointe.render.software.perspective import RenderConfig, render_mesh, standpoint
from enpointe.render.view import View

CONFIG = RenderConfig(views=2, size=96, elevation=20, azimuth=50, fov=45, background=(0.2, 0.5, 0.9))
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box() -> Mesh:
    """A long box away from the origin, its six sides unconnected: yellow where x is least, other sides of one green."""
    faces = np.arange(24).reshape(6, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    colors = np.repeat([[0.9, 0.8, 0.1], *[[0.1, 0.6, 0.3]] * 5], 4, axis=0)
    return Mesh(CORNERS[np.array(SIDES).ravel()] * (2, 1, 0.7) + 5, faces, colors)


def ball(n: int) -> PointCloud:
    """Points spread evenly over a ball of radius 3, red above and blue below."""
    z = 1 - (2 * np.arange(n) + 1) / n
    turn, ring = np.arange(n) * np.pi * (3 - np.sqrt(5)), np.sqrt(1 - z**2)
    points = 3 * np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    return PointCloud(points, np.where(points[:, 2:] > 0, [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]))


def shown(images: NDArray[np.uint8], config: RenderConfig = CONFIG) -> NDArray[np.bool_]:
    """Where at least about half of a pixel is not the ground."""
    return np.asarray(np.abs(images / 255 - config.background).max(axis=-1) > 0.2)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def blender() -> Iterator[BlenderRenderer]:
    try:
        renderer = BlenderRenderer.for_images(CONFIG.views)
    except DeviceError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


@pytest.mark.blender
def test_a_mesh_is_where_the_software_renderer_shows_it(blender: BlenderRenderer) -> None:
    found, drawn = blender.images(box(), CONFIG), SoftwareRenderer().images(box(), CONFIG)
    yellow = [(images[..., 0] > images[..., 1]) & shown(images) for images in (found, drawn)]
    assert overlap(*yellow) > 0.95
    assert 0.1 < yellow[0].sum() / shown(found).sum() < 0.9
    assert found.shape == drawn.shape == (2, 96, 96, 3)
    assert found.dtype == np.uint8
    assert overlap(shown(found), shown(drawn)) > 0.97
    corner = np.round(np.array(CONFIG.background) * 255)
    assert np.abs(found[:, 0, 0] - corner).max() <= 1
    for mine, its in zip(found, drawn, strict=True):
        inside = shown(mine[None])[0] & shown(its[None])[0]
        assert np.abs(mine[inside].mean(axis=0) - its[inside].mean(axis=0)).max() < 30  # of 255; the light is another


@pytest.mark.blender
def test_the_shape_is_seen_by_its_light(blender: BlenderRenderer) -> None:
    """Sides of one color differ where they face different ways."""
    gray = Mesh(box().vertices, box().faces)
    image = blender.images(gray, CONFIG)[0]
    levels = image[shown(image[None])[0]].mean(axis=1)
    assert np.quantile(levels, 0.9) - np.quantile(levels, 0.1) > 25
    assert np.ptp(image[shown(image[None])[0]].astype(float), axis=1).mean() < 5  # gray


@pytest.mark.blender
def test_a_cloud_is_where_the_software_renderer_shows_it(blender: BlenderRenderer) -> None:
    found, drawn = blender.images(ball(1500), CONFIG), SoftwareRenderer().images(ball(1500), CONFIG)
    assert overlap(shown(found), shown(drawn)) > 0.97
    for mine, its in zip(found, drawn, strict=True):
        inside = shown(mine[None])[0] & shown(its[None])[0]
        assert overlap((mine[..., 0] > mine[..., 2]) & inside, (its[..., 0] > its[..., 2]) & inside) > 0.95


@pytest.mark.blender
def test_the_same_images_again_and_of_too_many_points(
    blender: BlenderRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = blender.images(ball(1500), CONFIG)
    assert np.array_equal(whole, blender.images(ball(1500), CONFIG))
    monkeypatch.setattr(shape_images, "BALLS", 700)
    thinned = blender.images(ball(1500), CONFIG)
    assert np.array_equal(thinned, blender.images(ball(1500), CONFIG))
    assert overlap(shown(thinned), shown(whole)) > 0.9
    assert (thinned != whole).any()
    assert blender.process.starts == 1
    assert blender.name.startswith("blender ")


def test_cameras_see_what_the_software_renderer_sees() -> None:
    """Without Blender: box corners projected by the cameras bound what is drawn."""
    places, distance = standpoint(box().vertices, CONFIG)
    for image, camera in zip(render_mesh(box(), CONFIG), CONFIG.cameras(distance), strict=True):
        pixels, depth = camera.project(places)
        assert depth.min() > 0
        down, right = np.nonzero(shown(image[None])[0])
        assert np.array([right.min(), down.min()]) == pytest.approx(pixels.min(axis=0), abs=1.1)
        assert np.array([right.max(), down.max()]) + 1 == pytest.approx(pixels.max(axis=0), abs=1.1)


def test_light_over_another_ground() -> None:
    """A half covered pixel shows half of the light and half of the ground."""
    ground = (0.2, 0.5, 0.9)
    light = to_linear(np.array([0.7, 0.3, 0.1], np.float32))
    cover = np.array([[1.0, 0.0], [128 / 255, 64 / 255]], np.float32)
    before_white = cover[..., None] * light + 1 - cover[..., None]
    color = np.zeros((2, 2, 4), np.uint8)
    color[..., 3] = np.rint(cover * 255)
    view = View(
        CONFIG.cameras(1.0)[0], color, np.ones((2, 2), np.float32), np.zeros((2, 2), np.int16),
        np.rint(to_srgb(before_white) * 255).astype(np.uint8),
    )  # fmt: skip
    expected = to_srgb(cover[..., None] * light + (1 - cover[..., None]) * to_linear(np.array(ground, np.float32)))
    assert on_ground(view, ground) == pytest.approx(expected * 255, abs=3)


def test_without_light_a_view_shows_its_own_color_over_the_ground() -> None:
    color = np.zeros((1, 2, 4), np.uint8)
    color[0, 0] = [51, 128, 230, 255]
    view = View(CONFIG.cameras(1.0)[0], color, np.ones((1, 2), np.float32), np.zeros((1, 2), np.int16))
    expected = [[51, 128, 230], np.array(CONFIG.background) * 255]
    assert on_ground(view, CONFIG.background)[0] == pytest.approx(np.array(expected), abs=1)


@pytest.mark.parametrize("name", ["gl", "rays"])
def test_any_renderer_of_models_renders_shapes(name: str) -> None:
    """They are where the software renderer shows them, in their own colors."""
    try:
        renderer: Renderer = RENDERERS[name].for_images(CONFIG.views)
    except DeviceError as error:
        pytest.skip(str(error))
    with renderer:
        for shape in (box(), ball(1500)):
            found, drawn = renderer.images(shape, CONFIG), SoftwareRenderer().images(shape, CONFIG)
            assert found.shape == drawn.shape
            assert found.dtype == np.uint8
            assert overlap(shown(found), shown(drawn)) > 0.97
        yellow = np.abs(renderer.images(box(), CONFIG) / 255 - [0.9, 0.8, 0.1]).max(axis=-1) < 0.01
        assert yellow.mean() > 0.01
