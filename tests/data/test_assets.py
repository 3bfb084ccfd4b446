"""Real models: what is read, what is refused, what can be seen of them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.data.asset_clouds import AssetCloud, sample_asset, sample_model
from enpointe.data.sources import kaykit as kaykit_module
from enpointe.data.sources._sweethome3d_model import place
from enpointe.data.sources._sweethome3d_names import clean_name
from enpointe.data.sources.kaykit import KayKit
from enpointe.data.sources.sweethome3d import DEBIAN_FOLDER, SweetHome3D, read_properties
from enpointe.data.visibility import DepthMaps, plan
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.io.assets.files import FolderFiles
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Material, Model
from enpointe.io.formats import read_model

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kaykit"

CATALOGUE = """\
license=Creative Commons Attribution 3.0 license
name#1=Apple iPhone
tags#1=Blend Swap, Phone
category#1=Miscellaneous
model#1=/lib/box/box.obj
width#1=20
depth#1=10
height#1=40
creator#1=J\\u00f6rg
"""
# A cube whose six quads are red below y = 0.5 and wear a texture above; its front (+z) corner vertices first.
OBJ = """\
mtllib box.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl red
f 1 2 6 5
f 1 4 3 2
f 1 5 8 4
f 2 3 7 6
f 4 8 7 3
usemtl picture
f 5/1 6/2 7/3 8/4
"""
MTL = "newmtl red\nKd 0.8 0.1 0.1\nd 0.3\nnewmtl picture\nKd 0.64 0.64 0.64\nmap_Kd {texture}\n"


def png(pixels: list[list[tuple[int, ...]]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(file, "png")
    return file.getvalue()


def library(folder: Path, catalogue: str = CATALOGUE, texture: str = "front.png", **entries: bytes) -> Path:
    """A one-model library whose texture is blue on the left, green on the right."""
    path = folder / "Test.sh3f"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PluginFurnitureCatalog.properties", catalogue)
        archive.writestr("lib/box/box.obj", entries.get("obj", OBJ.encode()))
        archive.writestr("lib/box/box.mtl", MTL.format(texture=texture))
        archive.writestr("lib/box/front.png", png([[(0, 0, 255), (0, 255, 0)]]))
        archive.writestr("secret.png", png([[(255, 255, 255)]]))
    return path


def plain(mesh: trimesh.Trimesh, color: tuple[float, float, float] = (1, 1, 1)) -> Model:
    """A model, already z up, of one color."""
    f = len(mesh.faces)
    return Model(
        np.asarray(mesh.triangles, float), np.zeros((f, 3, 2), np.float32), np.ones((f, 3, 3), np.float32),
        np.zeros(f, np.int64), (Material(np.array(color, np.float32)),),
    )  # fmt: skip


def visible(mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    wanted, resolution = plan(mesh.area, float(np.linalg.norm(mesh.vertices, axis=1).max()))
    points, face = trimesh.sample.sample_surface(mesh, wanted, seed=0)
    seen, _ = DepthMaps.of(points, resolution).visible(points, mesh.face_normals[face])
    return points, seen


# Visibility


def test_a_closed_sphere_keeps_everything() -> None:
    _, seen = visible(trimesh.creation.icosphere(subdivisions=4))
    assert seen.mean() > 0.99


def test_of_a_box_in_a_box_only_the_outer_one_is_seen() -> None:
    both = trimesh.util.concatenate([trimesh.creation.box((1, 1, 1)), trimesh.creation.box((0.8, 0.8, 0.8))])
    points, seen = visible(both)
    inner = np.abs(points).max(axis=1) < 0.45
    assert inner.sum() > 10_000
    assert seen[inner].mean() < 1e-3
    assert seen[~inner].all()


@pytest.mark.parametrize("depth", [0.5, 1.0])
def test_an_open_cup_keeps_its_inner_wall_and_bottom(depth: float) -> None:
    wall = trimesh.creation.annulus(r_min=0.42, r_max=0.5, height=depth)
    bottom = trimesh.creation.cylinder(radius=0.45, height=0.08)
    bottom.apply_translation((0, 0, -depth / 2 + 0.04))
    points, seen = visible(trimesh.util.concatenate([wall, bottom]))
    radius = np.hypot(points[:, 0], points[:, 1])
    inside_wall = (np.abs(radius - 0.42) < 0.004) & (np.abs(points[:, 2]) < depth / 2 - 0.1)
    inside_bottom = (np.abs(points[:, 2] + depth / 2 - 0.08) < 1e-6) & (radius < 0.4)
    assert inside_wall.sum() > 1000
    assert inside_bottom.sum() > 1000
    for height in np.arange(-depth / 2 + 0.1, depth / 2, 0.1):
        band = inside_wall & (np.abs(points[:, 2] - height) < 0.05)
        assert seen[band].mean() > (0.98 if height > depth / 2 - 0.5 else 0.8)  # thinner far down, never gone
    assert seen[inside_bottom].mean() > 0.98


def test_a_lid_hides_the_inside_of_the_cup() -> None:
    cup = trimesh.creation.annulus(r_min=0.42, r_max=0.5, height=1.0)
    lids = [trimesh.creation.cylinder(radius=0.5, height=0.05) for _ in range(2)]
    for lid, z in zip(lids, (-0.5, 0.5), strict=True):
        lid.apply_translation((0, 0, z))
    points, seen = visible(trimesh.util.concatenate([cup, *lids]))
    inside = (np.hypot(points[:, 0], points[:, 1]) < 0.425) & (np.abs(points[:, 2]) < 0.4)
    assert inside.sum() > 1000
    assert seen[inside].mean() < 0.002


def test_normals_point_to_where_the_point_is_seen_from() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    sphere.faces[::2] = sphere.faces[::2, ::-1]  # a soup with no idea of outside
    cloud = sample_model(plain(sphere), 2000, np.random.default_rng(0))
    assert (np.einsum("nd,nd->n", cloud.points, cloud.normals) > 0).all()


# Sampling


def test_points_lie_in_the_unit_frame_evenly_and_as_asked() -> None:
    model = plain(trimesh.creation.box((4, 2, 1)), color=(0.2, 0.4, 0.6))
    cloud = sample_model(model, 3000, np.random.default_rng(0))
    assert (cloud.points.shape, cloud.colors.shape, cloud.normals.shape) == ((3000, 3),) * 3
    assert {a.dtype for a in (cloud.points, cloud.colors, cloud.normals)} == {np.dtype(np.float32)}
    extent = cloud.points.max(axis=0) - cloud.points.min(axis=0)
    np.testing.assert_allclose(extent, (1, 0.5, 0.25), atol=0.01)
    np.testing.assert_allclose(cloud.points.max(axis=0), -cloud.points.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        cloud.colors, np.broadcast_to(np.array((0.2, 0.4, 0.6), np.float32), (3000, 3)), atol=1e-6
    )
    on_top_or_bottom = (np.abs(cloud.normals[:, 2]) > 0.9).mean()
    assert on_top_or_bottom == pytest.approx(16 / 28, abs=0.03)


def test_the_same_seed_gives_the_same_cloud() -> None:
    model = plain(trimesh.creation.torus(1, 0.3))
    first, second, other = (sample_model(model, 500, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.points.tobytes() == second.points.tobytes()
    assert first.points.tobytes() != other.points.tobytes()


def test_holes_of_a_texture_hold_no_points_and_hide_nothing() -> None:
    sheet = np.array([[[0, 0, 0], [1, 0, 0], [1, 0, 1]], [[0, 0, 0], [1, 0, 1], [0, 0, 1]]], float)
    uv = sheet[..., [0, 2]].astype(np.float32)
    texture = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    leaf = Material(np.ones(3, np.float32), texture)
    model = Model(sheet, uv, np.ones((2, 3, 3), np.float32), np.zeros(2, np.int64), (leaf,))
    cloud = sample_model(model, 1000, np.random.default_rng(0))
    extent = cloud.points.max(axis=0) - cloud.points.min(axis=0)
    np.testing.assert_allclose(extent, (0.5, 0, 1), atol=0.01)  # the right half is cut away


@pytest.mark.parametrize("triangles", [np.zeros((4, 3, 3)), np.ones((1, 3, 1)) * np.arange(3.0)])
def test_a_model_without_area_is_refused(triangles: np.ndarray) -> None:
    f = len(triangles)
    ones = np.ones((f, 3, 3), np.float32)
    model = Model(triangles, ones[..., :2], ones, np.zeros(f, np.int64), (Material(ones[0, 0]),))
    with pytest.raises(InputError, match="expected a model with"):
        sample_model(model, 10, np.random.default_rng(0))


def test_srgb_and_linear_light_are_inverse() -> None:
    values = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-5)
    assert to_linear(np.array([0.5], np.float32))[0] == pytest.approx(0.2140, abs=1e-4)


# glTF


def textured_box(factor: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> bytes:
    """A GLB of a box whose left half (x < 0) is red and whose right half is blue, times `factor` (linear)."""
    box = trimesh.creation.box((1, 1, 1)).subdivide()
    uv = np.stack([box.vertices[:, 0] * 0.98 + 0.5, np.full(len(box.vertices), 0.5)], axis=1)
    picture = Image.fromarray(np.array([[(255, 0, 0), (0, 0, 255)]], np.uint8))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture, baseColorFactor=factor)
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return bytes(trimesh.Scene(box).export(file_type="glb"))


def test_a_textured_glb_wears_its_colours_where_they_belong(tmp_path: Path) -> None:
    model = read_model(textured_box(), ".glb", FolderFiles(tmp_path))
    cloud = sample_model(model, 2000, np.random.default_rng(0))
    left = cloud.points[:, 0] < -0.02
    right = cloud.points[:, 0] > 0.02
    for side, color in ((left, (1, 0, 0)), (right, (0, 0, 1))):
        np.testing.assert_allclose(cloud.colors[side], np.broadcast_to(color, (side.sum(), 3)), atol=1e-6)


def test_the_base_colour_multiplies_in_linear_light(tmp_path: Path) -> None:
    model = read_model(textured_box((0.5, 0.5, 0.5, 1.0)), ".glb", FolderFiles(tmp_path))
    cloud = sample_model(model, 500, np.random.default_rng(0))
    assert cloud.colors.max() == pytest.approx(0.7354, abs=0.005)  # sRGB of half the light


def test_gltf_axes_become_z_up_with_the_front_along_minus_y(tmp_path: Path) -> None:
    marker = trimesh.creation.box((0.1, 0.1, 0.1))
    marker.apply_translation((1, 2, 3))
    model = read_model(bytes(trimesh.Scene(marker).export(file_type="glb")), ".glb", FolderFiles(tmp_path))
    np.testing.assert_allclose(model.triangles.mean(axis=(0, 1)), (1, -3, 2), atol=0.02)


def test_a_palettes_faces_have_their_swatches_colours(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 30, 30), (30, 30, 200)
    box = trimesh.creation.box((1, 1, 1))
    u = np.where(box.triangles_center[:, 2] > 0.4, 0.2, 0.8)
    box.unmerge_vertices()
    uv = np.stack([np.repeat(u, 3), np.full(36, 0.5)], axis=1)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(picture))
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    (pack / "chair_A.glb").write_bytes(bytes(trimesh.Scene(box).export(file_type="glb")))
    (asset,) = KayKit().open(tmp_path)
    assert (asset.name, asset.licence) == ("chair", "unknown")
    cloud = sample_asset(asset, 3000, np.random.default_rng(0))
    front = cloud.points[:, 1] < -0.49
    red = (np.abs(cloud.colors * 255 - (200, 30, 30)) < 1).all(axis=1)
    assert (np.abs(cloud.colors[~red] * 255 - (30, 30, 200)) < 1).all()
    assert red[front].any()
    assert red.mean() == pytest.approx(1 / 6, abs=0.02)


def test_a_gltf_that_refers_outside_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(100))
    header = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"uri": "../secret.bin", "byteLength": 36}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }  # fmt: skip
    (tmp_path / "pack" / "bad.gltf").write_text(json.dumps(header))
    (asset,) = KayKit().open(tmp_path)
    with pytest.raises(InputError, match="outside"):
        asset.load()


def test_a_gltf_that_declares_a_billion_vertices_is_refused_before_they_are_made(tmp_path: Path) -> None:
    header = json.dumps({"asset": {"version": "2.0"}, "accessors": [{"count": 10**9, "type": "VEC3"}]}).encode()
    with pytest.raises(InputError, match="1000000000 declared"):
        read_model(header, ".gltf", FolderFiles(tmp_path))
    header += b" " * (-len(header) % 4)
    glb = struct.pack("<4sIIII", b"glTF", 2, 20 + len(header), len(header), 0x4E4F534A) + header
    with pytest.raises(InputError, match="1000000000 declared"):
        read_model(glb, ".glb", FolderFiles(tmp_path))


@pytest.mark.parametrize("length", [0, 10, 25, 200, 1000])
def test_a_truncated_glb_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(InputError):
        read_model(textured_box()[:length], ".glb", FolderFiles(tmp_path))


def test_vertex_colours_are_linear_light(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 1, 1))
    box.visual.vertex_colors = np.full((8, 4), (55, 0, 255, 255), np.uint8)
    model = read_model(bytes(trimesh.Scene(box).export(file_type="glb")), ".glb", FolderFiles(tmp_path))
    cloud = sample_model(model, 100, np.random.default_rng(0))
    np.testing.assert_allclose(cloud.colors.mean(axis=0), to_srgb(np.array((55 / 255, 0, 1), np.float32)), atol=0.005)


# Sweet Home 3D


def test_a_library_gives_named_attributed_and_coloured_models(tmp_path: Path) -> None:
    library(tmp_path)
    (asset,) = SweetHome3D().open(tmp_path)
    assert asset.key == "sweethome/Test/box/box"
    assert (asset.name, asset.nouns, asset.tags) == ("smartphone", ("smartphone", "phone"), ("phone",))
    assert (asset.licence, asset.creator, asset.category) == ("CC-BY-3.0", "Jörg", "Miscellaneous")
    cloud = sample_asset(pickle.loads(pickle.dumps(asset)), 4000, np.random.default_rng(0))  # noqa: S301 - our own
    extent = cloud.points.max(axis=0) - cloud.points.min(axis=0)
    np.testing.assert_allclose(extent, (0.5, 0.25, 1), atol=0.01)  # the catalog's width, depth and height
    front = cloud.normals[:, 1] < -0.9
    left = cloud.points[:, 0] < 0
    np.testing.assert_allclose(cloud.colors[front & left].mean(axis=0), (0, 0, 1), atol=0.02)
    np.testing.assert_allclose(cloud.colors[front & ~left].mean(axis=0), (0, 1, 0), atol=0.02)
    np.testing.assert_allclose(cloud.colors[~front].mean(axis=0), (0.8, 0.1, 0.1), atol=0.02)


def test_a_texture_on_the_authors_own_disk_is_the_file_of_that_name(tmp_path: Path) -> None:
    library(tmp_path, texture="C:/Users/someone/front.png")
    cloud = sample_asset(SweetHome3D().open(tmp_path)[0], 1000, np.random.default_rng(0))
    assert cloud.colors[:, 1].max() == 1


@pytest.mark.parametrize("texture", ["../../secret.png", "..\\..\\secret.png"])
def test_a_texture_outside_the_models_folder_is_refused(tmp_path: Path, texture: str) -> None:
    library(tmp_path, texture=texture)
    with pytest.raises(InputError, match="outside"):
        SweetHome3D().open(tmp_path)[0].load()


@pytest.mark.parametrize("model", ["../../etc/passwd", "/lib/../secret.png", "/lib/none.obj", "/secret.png", ""])
def test_a_catalogue_that_names_a_wrong_model_is_refused(tmp_path: Path, model: str) -> None:
    library(tmp_path, CATALOGUE.replace("/lib/box/box.obj", model))
    with pytest.raises(InputError, match="model 1"):
        SweetHome3D().open(tmp_path)


def test_a_truncated_library_and_an_entry_too_large_are_refused(tmp_path: Path) -> None:
    path = library(tmp_path)
    (asset,) = SweetHome3D().open(tmp_path, AssetLimits(bytes=100))
    with pytest.raises(InputError, match="at most 100 bytes"):
        asset.load()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="zip library"):
        SweetHome3D().open(tmp_path)


def test_damaged_bytes_within_a_library_are_refused(tmp_path: Path) -> None:
    path = library(tmp_path)
    (asset,) = SweetHome3D().open(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"lib/box/box.obj") + 40
    data[at : at + 20] = bytes(20)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"box\.obj"):
        asset.load()


@pytest.mark.parametrize(
    "obj", [b"", b"\x00\xff garbage", b"v 0 0 0\nf 1 2 3\n", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"]
)
def test_an_obj_without_sound_faces_is_refused(tmp_path: Path, obj: bytes) -> None:
    library(tmp_path, obj=obj)
    with pytest.raises(InputError):
        sample_asset(SweetHome3D().open(tmp_path)[0], 10, np.random.default_rng(0))


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    for source in (SweetHome3D(), KayKit()):
        with pytest.raises(InputError, match="found none"):
            source.open(tmp_path)


def test_the_catalogues_rotation_is_in_the_files_axes() -> None:
    # y up: a quarter turn about x, which lays z onto -y and so y onto z.
    point = np.array([[[0.0, 0.0, 1.0]] * 3])  # up in our axes: the file's +y
    turned = place(point, (1, 0, 0, 0, 0, 1, 0, -1, 0), None)
    np.testing.assert_allclose(turned[0, 0], (0, 1, 0), atol=1e-12)  # the file's -z: our +y


def test_properties_are_read_as_java_writes_them() -> None:
    data = "# note=no\nname#1=Caf\\u00e9 \\\n  chair\nempty#1=\nnot a pair\ntags#1 = a\\:b\nplain#1=H\xf4i\n".encode(
        "latin-1"
    )
    assert read_properties(data) == {"name#1": "Café chair", "empty#1": "", "tags#1": "a:b", "plain#1": "Hôi"}


# Names


@pytest.mark.parametrize(
    ("stem", "name", "nouns"),
    [
        ("chair_A", "chair", ("chair",)),
        ("chair_stool_wood", "wooden stool", ("wooden stool", "stool")),
        ("crate_carrots", "crate of carrots", ("crate of carrots", "crate")),
        ("sword_1handed", "one-handed sword", ("sword",)),
        ("banner_patternA_blue", "blue banner", ("banner",)),
        ("box_stacked", "stack of boxes", ("stack of boxes",)),
        ("food_ingredient_tomato_slice", "slice of tomato", ("slice of tomato",)),
        ("pot_A_stew", "pot of stew", ("pot of stew", "pot")),
        ("building_A_withoutBase", "building", ("building",)),
        ("car_police", "police car", ("police car", "car")),
        ("pan_006", "frying pan", ("frying pan", "pan")),
        ("Rogue_Hooded", "hooded rogue", ("rogue", "thief")),
    ],
)
def test_kaykit_names_become_words(stem: str, name: str, nouns: tuple[str, ...]) -> None:
    assert kaykit_module.clean_name(stem) == (name, nouns)


@pytest.mark.parametrize(
    ("written", "name", "noun"),
    [
        ("Apple iMac 1998", "desktop computer", "computer"),
        ("Yamaha YZR R6", "sports motorcycle", "motorcycle"),
        ("Sofa 3 seats", "sofa", "sofa"),
        ("Frame Hôi An", "picture frame", "frame"),
        ("Bill 10€", "banknote", "banknote"),
        ("Lying down female", "woman lying down", "woman"),
        ("Hot dog", "hot dog", "hot dog"),
    ],
)
def test_sweethome_names_become_plain_words(written: str, name: str, noun: str) -> None:
    words, nouns = clean_name(written)
    assert words == name
    assert noun in nouns


# The collections themselves


@pytest.fixture(scope="module")
def packs() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"no KayKit models at {DATA}")
    return DATA


def check(cloud: AssetCloud) -> None:
    assert cloud.points.shape == (1024, 3)
    assert np.isfinite(cloud.points).all()
    assert np.abs(cloud.points).max() == pytest.approx(0.5, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-3)
    assert 0 <= cloud.colors.min() <= cloud.colors.max() <= 1


def test_kaykit_is_listed_with_words_and_attribution(packs: Path) -> None:
    assets = KayKit().open(packs)
    assert len(assets) == len({asset.key for asset in assets}) == 403
    assert {(asset.licence, asset.creator) for asset in assets} == {("CC0-1.0", "Kay Lousberg")}
    spoken = " ".join(noun for asset in assets for noun in asset.nouns)
    assert not set("_0123456789") & set(spoken)
    assert spoken == spoken.lower()


@pytest.mark.parametrize(
    "key", ["furniture-bits/chair_A", "dungeon-remastered/chest", "character-pack-adventures/Mage"]
)
def test_kaykit_models_become_clouds(packs: Path, key: str) -> None:
    (asset,) = (asset for asset in KayKit().open(packs) if asset.key == f"kaykit/{key}")
    check(sample_asset(asset, 1024, np.random.default_rng(0)))


def test_a_knight_faces_forward_and_stands_upright(packs: Path) -> None:
    (asset,) = (asset for asset in KayKit().open(packs) if asset.key.endswith("/Knight"))
    cloud = sample_asset(asset, 1024, np.random.default_rng(0))
    extent = cloud.points.max(axis=0) - cloud.points.min(axis=0)
    assert extent[1] < extent[0]
    assert extent[1] < extent[2]
    red = cloud.colors[:, 0] > 2 * cloud.colors[:, 1:].max(axis=1)  # the cape hangs down behind
    assert cloud.points[red, 1].mean() > 0.05


def test_installed_sweethome_models_become_clouds() -> None:
    if not DEBIAN_FOLDER.is_dir():
        pytest.skip(f"no libraries at {DEBIAN_FOLDER}; Debian's sweethome3d-furniture installs them")
    assets = SweetHome3D().open()
    assert len({asset.key for asset in assets}) == len(assets)
    for asset in assets[:: len(assets) // 4]:
        check(sample_asset(asset, 1024, np.random.default_rng(0)))
