"""What readers of model files make of a file's details."""

from __future__ import annotations

import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.hostile import CORNERS, FACES, Json, buffer, glb, obj, ply, png, stl, tree
from enpointe.core.errors import InputError
from enpointe.data.sources.pmd import read_pmd
from enpointe.data.sources.zero_ad import clean_name, zero_ad
from enpointe.io.assets.builder import fans
from enpointe.io.assets.files import FolderFiles
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Model, to_linear
from enpointe.io.assets.textures import mean_color
from enpointe.io.formats import read_model

UP = [(x, -z, y) for x, y, z in CORNERS]
EXPECTED = np.array(UP)[np.array(FACES)]


def read(folder: Path, data: bytes, kind: str, **options: Any) -> Model:
    return read_model(data, kind, FolderFiles(folder), **options)


def rgba(*pixels: tuple[int, int, int, int]) -> bytes:
    """A picture of one row."""
    file = io.BytesIO()
    Image.fromarray(np.array([pixels], np.uint8)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (37, 512), (300, 7)])
def test_a_textures_mean_is_that_of_all_its_pixels(shape: tuple[int, int]) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (*shape, 4), dtype=np.uint8)
    expected = (texture[..., :3].astype(np.float64).mean(axis=(0, 1)) / 255).astype(np.float32)
    np.testing.assert_array_equal(mean_color(texture), expected)


def test_all_formats_hold_the_same_triangles(tmp_path: Path) -> None:
    for kind, data in (("obj", obj()), ("glb", glb())):
        np.testing.assert_allclose(read(tmp_path, data, kind).triangles, EXPECTED, atol=1e-6)
    z_up = np.array(CORNERS)[np.array(FACES)]
    for kind, data in (("ply", ply()), ("ply", ply(text=True)), ("stl", stl()), ("stl", stl(text=True))):
        np.testing.assert_allclose(read(tmp_path, data, kind).triangles, z_up, atol=1e-6)


def test_polygons_are_cut_into_fans() -> None:
    np.testing.assert_array_equal(
        fans(np.array([3, 2, 5, 4])),
        [(0, 1, 2), (5, 6, 7), (5, 7, 8), (5, 8, 9), (10, 11, 12), (10, 12, 13)],
    )


# OBJ


@pytest.mark.parametrize(
    "faces",
    [
        "f 1 2 3 4\n", "f 1//1 2//2 3//3 4//4\n", "f 1/1/1 2/2/2 3/3/3 4/4/4\n", "f -4 -3 -2 -1\n",
        "f 1/1 2/2 3/3\nf 1 3 4\n", "f 1/ 2/ 3/ 4/\n", "f\t1 2 \\\n 3 4\n", "f 1/1/ 2/2/ 3/3/\nf 1//1 3//1 4//1\n",
    ],
)  # fmt: skip
def test_obj_faces_are_read_however_they_are_written(tmp_path: Path, faces: str) -> None:
    np.testing.assert_allclose(read(tmp_path, obj(faces=faces), "obj").triangles, EXPECTED)


def test_negative_numbers_count_from_where_they_stand(tmp_path: Path) -> None:
    first = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n"
    second = b"v 5 0 0\nv 6 0 0\nv 5 1 0\nf -3 -2 -1\n"
    triangles = read(tmp_path, first + second, "obj").triangles
    np.testing.assert_allclose(triangles[:, :, 0].min(axis=1), (0, 5))


def test_materials_of_an_obj_colour_its_faces(tmp_path: Path) -> None:
    (tmp_path / "two words.mtl").write_bytes(
        b"newmtl plain\r\nKd 0.1 0.2 0.3\r\n\r\nnewmtl pic\nKd 0.5 0.5 0.5\nmap_Kd -o 0 0 -bm 2 my skin.png\n"
    )
    (tmp_path / "my skin.png").write_bytes(rgba((255, 0, 0, 255), (0, 0, 255, 255)))
    data = obj(mtl="two words.mtl", faces="usemtl plain\nf 1 2 3\nusemtl pic\nf 1/1 3/3 4/4\nf 1 2 4\n")
    model = read(tmp_path, data, "obj", strict=True)
    worn = [model.materials[number] for number in model.material]
    np.testing.assert_allclose(worn[0].color, (0.1, 0.2, 0.3), atol=1e-6)
    assert worn[0].texture is None
    np.testing.assert_array_equal(worn[1].texture, [[(255, 0, 0, 255), (0, 0, 255, 255)]])
    np.testing.assert_allclose(worn[1].color, (1, 1, 1))  # only a tint counts beside a texture
    assert worn[2].texture is None  # says no place on it, hence wears its mean
    np.testing.assert_allclose(worn[2].color, (0.5, 0, 0.5), atol=1e-6)
    np.testing.assert_allclose(model.uv[1], [(0, 0), (1, 1), (0, 1)])


def test_coverage_may_come_from_a_picture_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"newmtl skin\nmap_Kd a.png\nmap_d holes.png\n")
    (tmp_path / "a.png").write_bytes(rgba((9, 9, 9, 255), (9, 9, 9, 255)))
    (tmp_path / "holes.png").write_bytes(rgba((255, 255, 255, 255), (0, 0, 0, 255)))
    texture = read(tmp_path, obj(mtl="m"), "obj").materials[-1].texture
    assert texture is not None
    np.testing.assert_array_equal(texture[0, :, 3], (255, 0))


def test_colours_of_obj_vertices_are_srgb(tmp_path: Path) -> None:
    data = b"".join(b"v %d %d 0 0.5 0 1\n" % corner for corner in ((0, 0), (1, 0), (0, 1))) + b"f 1 2 3\n"
    model = read(tmp_path, data, "obj")
    np.testing.assert_allclose(model.shade[0, 0], to_linear(np.float32((0.5, 0, 1))), atol=1e-6)
    np.testing.assert_allclose(model.materials[0].color, (1, 1, 1))


def test_without_strictness_lost_textures_are_done_without(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"newmtl skin\nKd 0.2 0.4 0.6\nmap_Kd gone.png\n")
    model = read(tmp_path, obj(mtl="m"), "obj")
    np.testing.assert_allclose(model.materials[model.material[0]].color, (0.2, 0.4, 0.6), atol=1e-6)
    with pytest.raises(InputError, match=r"gone\.png"):
        read(tmp_path, obj(mtl="m"), "obj", strict=True)


# PLY


def test_colours_of_ply_vertices_are_srgb(tmp_path: Path) -> None:
    head = (
        b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        b"property uchar red\nproperty uchar green\nproperty uchar blue\n"
        b"element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    model = read(tmp_path, head + b"0 0 0 255 0 0\n1 0 0 0 128 0\n0 1 0 0 0 255\n3 0 1 2\n", "ply")
    np.testing.assert_allclose(
        model.shade[0], [(1, 0, 0), (0, to_linear(np.float32([128 / 255]))[0], 0), (0, 0, 1)], atol=1e-6
    )


# glTF


def with_material(tmp_path: Path, material: Json, skin: bytes, **changes: Any) -> Model:
    return read(tmp_path, glb(skin=skin, materials=[material], **changes), "glb", strict=True)


@pytest.mark.parametrize(
    ("mode", "coverage"),
    [
        ({}, (255, 255)),
        ({"alphaMode": "MASK"}, (255, 0)),
        ({"alphaMode": "MASK", "alphaCutoff": 0.2}, (255, 255)),
        ({"alphaMode": "BLEND"}, (200, 100)),
    ],
)
def test_coverage_is_the_materials_business(tmp_path: Path, mode: Json, coverage: tuple[int, int]) -> None:
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}} | mode
    model = with_material(tmp_path, material, rgba((1, 2, 3, 200), (4, 5, 6, 100)))
    texture = model.materials[-1].texture
    assert texture is not None
    np.testing.assert_array_equal(texture[0, :, 3], coverage)


def test_the_older_kind_of_material_is_known(tmp_path: Path) -> None:
    material = {"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}}}
    model = with_material(tmp_path, material, png())
    np.testing.assert_allclose(model.materials[0].color, (1, 0, 0))


def test_a_texture_may_be_scaled_turned_and_moved(tmp_path: Path) -> None:
    info = {
        "index": 0,
        "extensions": {"KHR_texture_transform": {"offset": [0.5, 0.25], "scale": [2, 3], "rotation": math.pi / 2}},
    }
    model = with_material(tmp_path, {"pbrMetallicRoughness": {"baseColorTexture": info}}, png())
    # Of a corner at (u, v), downwards: scaled (2u, 3v), turned (3v, -2u), moved.
    u, v = np.array([(0, 0), (1, 0), (1, 1)], float).T
    np.testing.assert_allclose(model.uv[0], np.stack([3 * v + 0.5, 1 - (-2 * u + 0.25)], axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "faces"), [(5, [(0, 1, 2), (1, 3, 2), (2, 3, 4)]), (6, [(0, 1, 2), (0, 2, 3), (0, 3, 4)])]
)
def test_strips_and_fans_are_triangles(tmp_path: Path, mode: int, faces: list[tuple[int, ...]]) -> None:
    points = np.random.default_rng(0).random((5, 3)).astype("<f4")
    made = tree(
        buffers=[{"uri": "p.bin", "byteLength": 60}], bufferViews=[{"buffer": 0, "byteLength": 60}],
        accessors=[{"bufferView": 0, "componentType": 5126, "count": 5, "type": "VEC3"}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": mode}]}],
    )  # fmt: skip
    (tmp_path / "p.bin").write_bytes(points.tobytes())
    model = read(tmp_path, json.dumps(made).encode(), "gltf")
    z_up = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
    np.testing.assert_allclose(model.triangles, z_up[np.array(faces)], atol=1e-6)


def test_nodes_place_their_meshes_and_mirrors_keep_faces_outside(tmp_path: Path) -> None:
    half = math.sqrt(0.5)
    nodes = [
        {"children": [1], "translation": [10, 0, 0]},
        {"mesh": 0, "rotation": [0, 0, half, half], "scale": [1, 1, -2]},  # a quarter turn about z
    ]
    model = read(tmp_path, glb(nodes=nodes), "glb")
    y_up = np.array([(10 - y, x, -2 * z) for x, y, z in CORNERS])
    expected = np.stack([y_up[:, 0], -y_up[:, 2], y_up[:, 1]], axis=1)[np.array(FACES)]
    np.testing.assert_allclose(model.triangles, expected[:, ::-1], atol=1e-5)


def test_arrays_may_be_normalized_interleaved_and_sparse(tmp_path: Path) -> None:
    """Corners as signed bytes in rows of eight bytes, of which one corner is replaced."""
    rows = np.zeros((4, 8), "i1")
    rows[:, :3] = np.array(CORNERS) * 127
    data = rows.tobytes() + struct.pack("<H2x", 3) + np.array([(127, 127, -127)], "i1").tobytes()
    accessor = {
        "bufferView": 0, "componentType": 5120, "normalized": True, "count": 4, "type": "VEC3",
        "sparse": {
            "count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2},
        },
    }  # fmt: skip
    made = tree(
        buffers=[{"uri": "p.bin", "byteLength": len(data)}],
        bufferViews=[
            {"buffer": 0, "byteLength": 32, "byteStride": 8}, {"buffer": 0, "byteOffset": 32, "byteLength": 2},
            {"buffer": 0, "byteOffset": 36, "byteLength": 3},
        ],
        accessors=[accessor], meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 6}]}],
        extensionsRequired=["KHR_mesh_quantization"],
    )  # fmt: skip
    (tmp_path / "p.bin").write_bytes(data)
    model = read(tmp_path, json.dumps(made).encode(), "gltf")
    np.testing.assert_allclose(model.triangles[1, 2], (1, 1, 1), atol=1e-6)
    np.testing.assert_allclose(model.triangles[0, 2], (1, 0, 1), atol=1e-6)


def test_skins_stand_where_their_joints_do(tmp_path: Path) -> None:
    """Of two joints, one has moved by (0, 0, 5) since it was bound; the mesh's own node has no say."""
    joints, weights = np.zeros((4, 4), "u1"), np.zeros((4, 4), "<f4")
    joints[2:, 0], weights[:, 0] = 1, 1
    inverse = np.stack([np.eye(4), np.eye(4)]).astype("<f4")
    inverse[1, 3, :3] = (-7, 0, 0)  # column-major
    data = buffer() + joints.tobytes() + weights.tobytes() + inverse.tobytes()
    made = tree(
        nodes=[{"mesh": 0, "skin": 0, "translation": [100, 0, 0]}, {}, {"translation": [7, 0, 5]}],
        scenes=[{"nodes": [0, 1, 2]}], skins=[{"joints": [1, 2], "inverseBindMatrices": 5}],
        materials=[{}], buffers=[{"uri": "p.bin", "byteLength": len(data)}],
    )  # fmt: skip
    made["meshes"][0]["primitives"][0]["attributes"] |= {"JOINTS_0": 3, "WEIGHTS_0": 4}
    for start, length, kind, count, shape in (
        (92, 16, 5121, 4, "VEC4"), (108, 64, 5126, 4, "VEC4"), (172, 128, 5126, 2, "MAT4"),
    ):  # fmt: skip
        made["accessors"].append(
            {"bufferView": len(made["bufferViews"]), "componentType": kind, "count": count, "type": shape}
        )
        made["bufferViews"].append({"buffer": 0, "byteOffset": start, "byteLength": length})
    (tmp_path / "p.bin").write_bytes(data)
    model = read(tmp_path, json.dumps(made).encode(), "gltf")
    moved = np.array(CORNERS) + np.array([(0, 0, 0)] * 2 + [(0, 0, 5)] * 2)
    expected = np.stack([moved[:, 0], -moved[:, 2], moved[:, 1]], axis=1)[np.array(FACES)]
    np.testing.assert_allclose(model.triangles, expected, atol=1e-5)


def test_greys_of_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(file, "png")
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    texture = with_material(tmp_path, material, file.getvalue()).materials[-1].texture
    assert texture is not None
    np.testing.assert_array_equal(texture[0, 0], (156, 156, 156, 255))


# 0 A.D.


def pmd(version: int = 4, bone: int = 0) -> bytes:
    """The corners in a left-handed frame with one bone at (0, 5, 0) and a prop point at (1, 0, 0) of it."""
    rows = b""
    for corner in CORNERS:
        rows += struct.pack("<6f", *corner, 0, 1, 0) + struct.pack("<2f", corner[0], corner[1])
        rows += struct.pack("<4B4f", bone, 255, 255, 255, 1, 0, 0, 0)
    uv_sets = struct.pack("<I", 1) if version >= 4 else b""
    body = struct.pack("<I", len(CORNERS)) + uv_sets + rows
    body += struct.pack("<I", len(FACES)) + np.array(FACES, "<u2").tobytes()
    body += struct.pack("<I7f", 1, 0, 5, 0, 0, 0, 0, 1)
    body += struct.pack("<I", 1) + struct.pack("<I4s7fB", 4, b"roof", 1, 0, 0, 0, 0, 0, 1, bone)
    return struct.pack("<4sII", b"PSMD", version, len(body)) + body


def mod(folder: Path) -> Path:
    """A mod with a house of two variants, on whose roof lies a stone."""
    files = {
        "art/actors/structures/romans/house.xml": b"""<actor version="1"><group>
            <variant frequency="1"><mesh>wrong.dae</mesh></variant>
            <variant frequency="3" file="base.xml"><props><prop actor="geology/stone.xml" attachpoint="roof"/></props>
            </variant></group><material>player_trans.xml</material></actor>""",
        "art/variants/base.xml": b"""<variant><mesh>house.dae</mesh><textures><texture file="wall.png" name="baseTex"/>
            <texture file="gone.png" name="normTex"/></textures></variant>""",
        "art/actors/geology/stone.xml": b"""<actor version="1"><group><variant><mesh>house.dae</mesh></variant></group>
            </actor>""",
        "art/meshes/house.dae.cached.pmd": pmd(),
        "art/textures/skins/wall.png": rgba((200, 100, 50, 255), (255, 255, 255, 0)),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("version", [3, 4])
def test_pmd_meshes_hold_triangles_uv_and_prop_points(version: int) -> None:
    mesh = read_pmd(pmd(version), AssetLimits())
    np.testing.assert_allclose(mesh.corners, np.array(CORNERS)[np.array(FACES)])
    np.testing.assert_allclose(mesh.uv, mesh.corners[:, :, :2])
    np.testing.assert_allclose(mesh.props["roof"][:3, 3], (1, 5, 0))
    np.testing.assert_allclose(read_pmd(pmd(version, bone=255), AssetLimits()).props["roof"][:3, 3], (1, 0, 0))


def test_every_cut_of_a_pmd_is_refused() -> None:
    whole = pmd()
    for length in range(len(whole)):
        with pytest.raises(InputError):
            read_pmd(whole[:length], AssetLimits())
    for wrong in (pmd(bone=3), whole.replace(b"PSMD", b"PSMA"), whole[:4] + b"\2" + whole[5:]):
        with pytest.raises(InputError, match="expected"):
            read_pmd(wrong, AssetLimits())
    with pytest.raises(InputError, match="at most 1 triangles"):
        read_pmd(whole, AssetLimits(faces=1))


def test_an_actor_is_its_commonest_look_with_what_is_put_onto_it(tmp_path: Path) -> None:
    stone, house = zero_ad(mod(tmp_path))
    assert (house.key, house.name, house.nouns) == ("0ad/structures/romans/house", "Roman house", ("house",))
    assert (house.licence, house.creator) == ("CC-BY-SA-3.0", "Wildfire Games")
    model = house.load()
    assert model.triangles.shape == (4, 3, 3)
    z_up = np.array(CORNERS)[:, [0, 2, 1]]
    np.testing.assert_allclose(model.triangles[:2], z_up[np.array(FACES)][:, ::-1])  # right-handed now
    np.testing.assert_allclose(model.triangles[2:], model.triangles[:2] + np.array((1, 0, 5)))
    wall = model.materials[model.material[0]].texture
    np.testing.assert_array_equal(wall, [[(200, 100, 50, 255), (21, 55, 149, 255)]])  # the player's colour
    assert model.materials[model.material[2]].texture is None
    np.testing.assert_allclose(stone.load().triangles, model.triangles[:2])


def test_actors_without_end_and_entities_are_refused(tmp_path: Path) -> None:
    path = mod(tmp_path) / "art/actors/geology/stone.xml"
    (stone,) = (asset for asset in zero_ad(tmp_path) if asset.key.endswith("stone"))
    prop = '<props><prop actor="geology/stone.xml" attachpoint="root"/></props>'
    for content, reason in (
        (f"<actor><group><variant><mesh>house.dae</mesh>{prop}</variant></group></actor>", "parts, found more"),
        ("<actor><group><variant file='x.xml'/></group></actor>", "found none"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><actor/>", "document type"),
        ("<actor><group><variant><mesh>../../../../etc/passwd</mesh></variant></group></actor>", "outside"),
        ("<actor><group/></actor>", "expected a model with triangles"),
        ("<actor", "expected XML"),
        ("<qualitylevels><actor file='geology/stone.xml'/></qualitylevels>", "refers to others"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=reason):
            stone.load()
    (tmp_path / "art/variants/base.xml").write_text("<variant file='base.xml'/>")
    (house,) = (asset for asset in zero_ad(tmp_path) if asset.key.endswith("house"))
    with pytest.raises(InputError, match="based on others"):
        house.load()


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        ("structures/hellenes/stable", ("Greek stable", "stable")),
        ("flora/trees/banana", ("banana tree", "banana tree")),
        ("fauna/horse_01", ("horse", "horse")),
    ],
)
def test_names_of_actors_become_words(actor: str, words: tuple[str, str]) -> None:
    assert clean_name(actor) == words
