"""Images and imports by a real Blender, held against the raster renderer and against closed forms."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from enpointe.core.errors import DeviceError, InputError, RenderError
from enpointe.data.sources.kaykit import KayKit
from enpointe.io.assets.model import Material, Model
from enpointe.render.blender.import_files import read_with_blender
from enpointe.render.blender.process import BlenderLimits, BlenderProcess, find_blender
from enpointe.render.camera import Camera, look_at_center, random_cameras
from enpointe.render.renderers.blender import BlenderRenderer
from enpointe.render.renderers.raster import RasterRenderer
from enpointe.render.view import View

pytestmark = pytest.mark.blender
SIZE = 64
KAYKIT = Path(__file__).parents[2].parent / "shared" / "data" / "kaykit"
MAKE_FBX = Path(__file__).with_name("blender_make_fbx.py")
FRONT = np.array([0.2, -1.0, 0.3])
COLLADA = Path(__file__).with_name("square.dae").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blender() -> Iterator[BlenderRenderer]:
    try:
        renderer = BlenderRenderer(threads=1)
    except DeviceError as error:
        pytest.skip(str(error))
    with renderer:
        yield renderer


@pytest.fixture(scope="module")
def raster() -> Iterator[RasterRenderer]:
    try:
        renderer = RasterRenderer()
    except DeviceError as error:
        pytest.skip(str(error))
    with renderer:
        yield renderer


def cameras(n: int = 3, size: int = SIZE) -> tuple[Camera, ...]:
    return random_cameras(n, np.random.default_rng(5), size=size)


def card(*materials: Material, shade: float = 1.0) -> Model:
    """A square of side 1 at y = 0 for each material, one behind the other, 0.2 apart, uv upright from the front."""
    corners = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    n = len(materials)
    triangles = np.concatenate([corners[faces] + [0, 0.2 * i, 0] for i in range(n)])
    uv = np.tile((corners[:, [0, 2]] + 0.5).astype(np.float32)[faces], (n, 1, 1))
    shades = np.full((2 * n, 3, 3), shade, np.float32)
    return Model(triangles, uv, shades, np.repeat(np.arange(n), 2), materials)


def plain(*color: float) -> Material:
    return Material(np.array(color, np.float32))


def image(*, holes: bool, seed: int = 1) -> NDArray[np.uint8]:
    """A coarse, colorful image; with holes, its middle is cut away."""
    rng = np.random.default_rng(seed)
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 4), dtype=np.uint8), 8, axis=0), 8, axis=1)
    pixels[..., 3] = 255
    if holes:
        pixels[10:22, 12:20, 3] = 0
    return pixels


def assert_agree(mine: View, other: View) -> None:
    """Depth within 0.5 % of the unit, outlines within a pixel, mean color within 4 of 255."""
    both = mine.opaque & other.opaque
    assert both.sum() > 50
    off = np.abs(mine.depth[both] - other.depth[both])
    # At an edge inside the object the two may choose another side of it.
    assert np.median(off) < 1e-4
    assert (off < 0.005).mean() > 0.995
    for one, two in ((mine, other), (other, mine)):
        inside = one.color[..., 3] >= 128
        there = two.color[..., 3] > 0
        assert (inside <= maximum_filter(there, 3)).all()
        assert (minimum_filter(inside, 3) <= there).all()
    assert abs(mine.color[..., 3].mean(dtype=float) - other.color[..., 3].mean(dtype=float)) < 1
    difference = mine.color[both][:, :3].mean(axis=0) - other.color[both][:, :3].mean(axis=0)
    assert np.abs(difference).max() < 4
    assert np.abs(mine.color[both].astype(int) - other.color[both]).mean() < 2
    assert (mine.material[both] == other.material[both]).mean() > 0.98


@pytest.mark.parametrize(
    "key", ["restaurant-bits/crate_carrots", "furniture-bits/armchair_pillows", "character-pack-adventures/Knight"]
)
def test_both_renderers_agree_on_real_models(blender: BlenderRenderer, raster: RasterRenderer, key: str) -> None:
    if not KAYKIT.is_dir():
        pytest.skip(f"no models at {KAYKIT}")
    model = {asset.key: asset for asset in KayKit().open(KAYKIT)}[f"kaykit/{key}"].load().normalized()
    for mine, other in zip(blender.render(model, cameras()), raster.render(model, cameras()), strict=True):
        assert_agree(mine, other)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("holes", [True, False])
@pytest.mark.parametrize("smooth", [True, False])
def test_both_renderers_agree_on_textures(
    blender: BlenderRenderer, raster: RasterRenderer, linear: bool, holes: bool, smooth: bool
) -> None:
    tint = np.array([1, 0.5, 0.8], np.float32)
    material = Material(tint, image(holes=holes), linear=linear, smooth=smooth)
    model = card(material, plain(0.1, 0.9, 0.3), shade=0.6)
    model = replace(model, uv=model.uv * 2 - 7.25)
    views = [look_at_center(FRONT, size=SIZE), look_at_center(-FRONT, size=SIZE)]
    for mine, other in zip(blender.render(model, views), raster.render(model, views), strict=True):
        assert_agree(mine, other)


def test_depth_is_that_of_the_plane_and_color_exact(blender: BlenderRenderer) -> None:
    camera = look_at_center(FRONT, size=SIZE)
    (view,) = blender.render(card(plain(0.25, 0.5, 1.0)), [camera])
    rays = camera.rays()
    depth = -camera.position[1] / rays[..., 1]
    at = camera.position + depth[..., None] * rays
    inside = (np.abs(at[..., [0, 2]]) < 0.499).all(axis=-1)
    outside = (np.abs(at[..., [0, 2]]) > 0.501).any(axis=-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(view.depth[inside], depth[inside], atol=1e-5)
    assert np.isinf(view.depth[outside]).all()
    assert (view.material[inside] == 0).all()
    assert (view.material[outside] == -1).all()
    covered = view.color[view.color[..., 3] > 0]
    assert np.abs(covered[:, :3].astype(int) - [64, 128, 255]).max() <= 1
    assert set(np.unique(covered[:, 3])) == {64, 128, 191, 255}


def test_a_hole_shows_what_is_behind(blender: BlenderRenderer) -> None:
    texture = np.full((4, 4, 4), 255, np.uint8)
    texture[1:3, 1:3, 3] = 0
    material = Material(np.ones(3, np.float32), texture, smooth=False)
    camera = look_at_center(np.array([0.0, -1, 0]), size=SIZE)
    (view,) = blender.render(card(material, plain(0, 0, 1)), [camera])
    middle, edge = (SIZE // 2, SIZE // 2), (SIZE // 2, SIZE // 4)
    assert (view.material[middle], view.material[edge]) == (1, 0)
    assert tuple(view.color[middle]) == (0, 0, 255, 255)
    assert tuple(view.color[edge]) == (255, 255, 255, 255)
    assert view.depth[middle] - view.depth[edge] == pytest.approx(0.2, abs=1e-4)


def test_the_lit_image_has_light_and_the_other_has_none(blender: BlenderRenderer) -> None:
    model = card(plain(0.8, 0.4, 0.2), plain(0.8, 0.4, 0.2))
    model = replace(model, triangles=np.concatenate([model.triangles[:2], model.triangles[:2, :, [1, 0, 2]]]))
    with BlenderRenderer(samples=1, lit_samples=4, threads=1, blender=blender.process) as lit:
        (view,) = lit.render(model, [look_at_center(np.array([-0.8, -1.0, 0.4]), size=SIZE)])
    assert view.lit is not None
    there = view.opaque
    assert len(np.unique(view.color[there], axis=0)) == 1
    assert (view.lit[minimum_filter(~there, 3)] == 255).all()
    reds = view.lit[there][:, 0].astype(float)
    assert np.ptp([reds[view.lit[there][:, 0] > np.median(reds)].mean(), reds.min()]) > 20
    assert set(np.unique(view.color[..., 3])) == {0, 255}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_stall_and_a_crash_cost_one_asset_each() -> None:
    process = BlenderProcess(BlenderLimits(stall=3.0), threads=1)
    model, taken = card(plain(1, 0, 0)), [look_at_center(FRONT, size=16)]
    try:
        renderer = BlenderRenderer(samples=1, blender=process)
    except DeviceError as error:
        pytest.skip(str(error))
    with renderer:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(RenderError, match="stalled"):
            renderer.render(model, taken)
        process.limits = BlenderLimits()
        process.start()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)  # so that it cannot be done before it is killed
        killer = threading.Timer(0.5, os.kill, (process.pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(RenderError, match=r"crashed.*SIGKILL"):
            renderer.render(model, taken)
        (view,) = renderer.render(model, taken)
        assert view.opaque.any()
        assert process.starts == 3


def test_models_without_triangles_are_refused(blender: BlenderRenderer) -> None:
    model = card(plain(1, 1, 1))
    empty = replace(model, triangles=model.triangles[:0], uv=model.uv[:0], material=model.material[:0])
    with pytest.raises(InputError, match="triangles"):
        blender.render(empty, cameras(1))


@pytest.mark.parametrize("samples", [{"samples": 0}, {"lit_samples": -1}, {"samples": 10**6}])
def test_numbers_of_samples_have_bounds(samples: dict[str, int]) -> None:
    with pytest.raises(InputError, match="samples"):
        BlenderRenderer(**samples)  # type: ignore[arg-type]


# Importing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, blender: BlenderRenderer) -> Path:
    """A folder with paint.png, brick.fbx that refers to it, and, in packed/, one that holds it."""
    folder = tmp_path_factory.mktemp("brick")
    (folder / "packed").mkdir()
    Image.new("RGB", (8, 8), (200, 40, 30)).save(folder / "paint.png")
    command = find_blender()
    command[-1] = str(MAKE_FBX)
    for name, embed in (("brick.fbx", False), ("embedded.fbx", True)):
        subprocess.run([*command, "--", str(folder / name), str(embed)], check=True, capture_output=True, timeout=300)
    (folder / "embedded.fbx").rename(folder / "packed" / "embedded.fbx")
    return folder


@pytest.mark.parametrize("name", ["brick.fbx", "packed/embedded.fbx"])
def test_an_fbx_file_becomes_a_model(made: Path, blender: BlenderRenderer, name: str) -> None:
    model = read_with_blender(made / name, blender=blender.process)
    np.testing.assert_allclose(model.triangles.max(axis=(0, 1)), [1, 0.5, 0.25], atol=1e-5)
    np.testing.assert_allclose(model.triangles.min(axis=(0, 1)), [-1, -0.5, -0.25], atol=1e-5)
    textured = [material.texture is not None for material in model.materials]
    top = model.triangles[..., 2].min(axis=1) > 0.2
    assert [textured[number] for number in model.material] == [not above for above in top]
    material = model.materials[textured.index(True)]
    assert material.texture is not None
    assert (material.texture == [200, 40, 30, 255]).all()
    blue = model.materials[textured.index(False)]
    np.testing.assert_allclose(blue.color, [0.349, 0.485, 0.906], atol=2e-3)  # 0.1, 0.2, 0.8 in linear light


def test_a_file_can_be_rendered_as_it_is(made: Path, blender: BlenderRenderer) -> None:
    (view,) = blender.render(made / "brick.fbx", [look_at_center(np.array([0.0, -1, 0]), size=SIZE)])
    assert tuple(view.color[SIZE // 2, SIZE // 2]) == (200, 40, 30, 255)


def test_damaged_files_and_missing_textures_are_told(made: Path, tmp_path: Path, blender: BlenderRenderer) -> None:
    starts = blender.process.starts
    data = (made / "brick.fbx").read_bytes()
    for name, content, reason in (
        ("alone", data, "paint.png.*found none"),
        ("cut", data[:3000], "expected a sound .fbx file, found .*Couldn't open file 'model.fbx'"),
        ("empty", b"", "expected a sound .fbx file"),
    ):
        (tmp_path / f"{name}.fbx").write_bytes(content)
        with pytest.raises(InputError, match=reason):
            read_with_blender(tmp_path / f"{name}.fbx", blender=blender.process)
    bare = read_with_blender(tmp_path / "alone.fbx", strict=False, blender=blender.process)
    assert all(material.texture is None for material in bare.materials)
    assert blender.process.starts == starts


def test_collada_is_read_where_blender_still_does(tmp_path: Path, blender: BlenderRenderer) -> None:
    paint = np.zeros((8, 8, 3), np.uint8)
    paint[:4] = 255, 0, 0  # the upper rows
    paint[4:] = 0, 255, 0
    Image.fromarray(paint).save(tmp_path / "paint.png")
    path = tmp_path / "square.dae"
    path.write_text(COLLADA.format(image="./p%61int.png"), encoding="utf-8")
    if ".dae" not in blender.process.reads:
        with pytest.raises(InputError, match="COLLADA left Blender with version 5"):
            read_with_blender(path, blender=blender.process)
        return
    model = read_with_blender(path, blender=blender.process)
    np.testing.assert_allclose(model.triangles.max(axis=(0, 1)), [1, 0, 1], atol=1e-6)
    assert model.materials[0].texture is not None
    np.testing.assert_array_equal(model.materials[0].texture[..., :3], paint)
    (view,) = blender.render(model.normalized(), [look_at_center(np.array([0.0, -1, 0]), size=SIZE)])
    assert tuple(view.color[SIZE // 3, SIZE // 2]) == (255, 0, 0, 255)
    assert tuple(view.color[-SIZE // 3, SIZE // 2]) == (0, 255, 0, 255)
    for image, reason in (("../../../etc/passwd", "outside"), ("/etc/hostname", "found none")):
        path.write_text(COLLADA.format(image=image), encoding="utf-8")
        with pytest.raises(InputError, match=reason):
            read_with_blender(path, blender=blender.process)
