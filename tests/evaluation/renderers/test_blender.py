"""Images by a real Blender, held against the own renderer's; and what does not need one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from enpointe.core.errors import DeviceError, InputError
from enpointe.evaluation.renderers import RENDERERS, open_renderer
from enpointe.evaluation.renderers import blender as module
from enpointe.evaluation.renderers.blender import BlenderImages, _on_ground, cameras_of
from enpointe.evaluation.renderers.own import OwnImages
from enpointe.geometry import Mesh, PointCloud
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.render.blender.process import ENVIRONMENT
from enpointe.render.renderer import View
from enpointe.render.software.perspective import RenderConfig, render_mesh, standpoint

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
def blender() -> Iterator[BlenderImages]:
    try:
        renderer = BlenderImages(CONFIG)
    except DeviceError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


@pytest.mark.blender
def test_a_mesh_is_where_the_own_renderer_shows_it(blender: BlenderImages) -> None:
    found, own = blender.render_mesh(box()), OwnImages(CONFIG).render_mesh(box())
    yellow = [(images[..., 0] > images[..., 1]) & shown(images) for images in (found, own)]
    assert overlap(*yellow) > 0.95
    assert 0.1 < yellow[0].sum() / shown(found).sum() < 0.9
    assert found.shape == own.shape == (2, 96, 96, 3)
    assert found.dtype == np.uint8
    assert overlap(shown(found), shown(own)) > 0.97
    corner = np.round(np.array(CONFIG.background) * 255)
    assert np.abs(found[:, 0, 0] - corner).max() <= 1
    for mine, its in zip(found, own, strict=True):
        inside = shown(mine[None])[0] & shown(its[None])[0]
        assert np.abs(mine[inside].mean(axis=0) - its[inside].mean(axis=0)).max() < 30  # of 255; the light is another


@pytest.mark.blender
def test_the_shape_is_seen_by_its_light(blender: BlenderImages) -> None:
    """Sides of one colour differ where they face different ways."""
    grey = Mesh(box().vertices, box().faces)
    image = blender.render_mesh(grey)[0]
    levels = image[shown(image[None])[0]].mean(axis=1)
    assert np.quantile(levels, 0.9) - np.quantile(levels, 0.1) > 25
    assert np.ptp(image[shown(image[None])[0]].astype(float), axis=1).mean() < 5  # grey


@pytest.mark.blender
def test_a_cloud_is_where_the_own_renderer_shows_it(blender: BlenderImages) -> None:
    found, own = blender.render_cloud(ball(1500)), OwnImages(CONFIG).render_cloud(ball(1500))
    assert overlap(shown(found), shown(own)) > 0.97
    for mine, its in zip(found, own, strict=True):
        inside = shown(mine[None])[0] & shown(its[None])[0]
        assert overlap((mine[..., 0] > mine[..., 2]) & inside, (its[..., 0] > its[..., 2]) & inside) > 0.95


@pytest.mark.blender
def test_the_same_images_again_and_of_too_many_points(blender: BlenderImages, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = blender.render_cloud(ball(1500))
    assert np.array_equal(whole, blender.render_cloud(ball(1500)))
    monkeypatch.setattr(module, "BALLS", 700)
    thinned = blender.render_cloud(ball(1500))
    assert np.array_equal(thinned, blender.render_cloud(ball(1500)))
    assert overlap(shown(thinned), shown(whole)) > 0.9
    assert (thinned != whole).any()
    assert blender._renderer.process.starts == 1
    assert blender.name.startswith("blender ")


def test_cameras_see_what_the_own_renderer_sees() -> None:
    """Without Blender: box corners projected by the cameras bound what is drawn."""
    places, distance = standpoint(box().vertices, CONFIG)
    for image, camera in zip(render_mesh(box(), CONFIG), cameras_of(CONFIG, distance), strict=True):
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
        cameras_of(CONFIG, 1.0)[0], color, np.ones((2, 2), np.float32), np.zeros((2, 2), np.int16),
        np.rint(to_srgb(before_white) * 255).astype(np.uint8),
    )  # fmt: skip
    expected = to_srgb(cover[..., None] * light + (1 - cover[..., None]) * to_linear(np.array(ground, np.float32)))
    assert _on_ground(view, ground) == pytest.approx(expected * 255, abs=3)


def test_the_names_are_those_of_the_command() -> None:
    assert set(RENDERERS) == {"blender", "own"}


def test_what_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="renderer: expected one of blender, own, found 'oven'"):
        open_renderer("oven")
    with pytest.raises(InputError, match="views"):
        open_renderer("own", 0)
    monkeypatch.setenv(ENVIRONMENT, "no-such-blender")
    with pytest.raises(DeviceError, match="no-such-blender"):
        open_renderer("blender")
