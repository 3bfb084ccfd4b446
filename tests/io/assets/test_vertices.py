"""Materials and textures as the colors of a mesh's vertices."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from data.hostile import CORNERS, glb, obj
from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.geometry import Mesh
from enpointe.geometry.colors import to_srgb

RED, BLUE = (1, 0, 0), (0, 0, 1)


def image(pixels: Any) -> bytes:
    """(h, w, 3 or 4) values of 8 bits as PNG."""
    file = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(file, "png")
    return file.getvalue()


def colors_at(mesh: Mesh, place: tuple[float, float, float]) -> set[tuple[float, ...]]:
    """The different colors of the vertices at a place."""
    assert mesh.colors is not None
    found = mesh.colors[np.abs(mesh.vertices - place).max(axis=1) < 1e-6]
    return {tuple(color) for color in np.round(found.astype(float), 2).tolist()}


def load(folder: Path, name: str, data: bytes) -> Mesh:
    """A file's mesh; nothing may be lost."""
    (folder / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Mesh.load(folder / name)


# Colors of vertices, materials


def test_vertex_colors_of_a_glb_are_linear_and_whole(tmp_path: Path) -> None:
    colors = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    mesh = Mesh(np.array(CORNERS), np.array([(0, 1, 2), (0, 2, 3)]), colors)
    mesh.save(tmp_path / "m.glb")
    again = Mesh.load(tmp_path / "m.glb")
    assert again.colors is not None
    np.testing.assert_allclose(again.colors, colors, atol=2e-6)


def test_a_base_color_is_linear_light(tmp_path: Path) -> None:
    material = {"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.1, 0, 1]}}
    mesh = load(tmp_path, "a.glb", glb(materials=[material]))
    assert mesh.colors is not None
    assert len(mesh.vertices) == 4
    np.testing.assert_allclose(mesh.colors, [to_srgb(np.array((0.5, 0.1, 0), np.float32))] * 4, atol=1e-6)


def test_without_any_color_there_are_none(tmp_path: Path) -> None:
    for name, data in (
        ("a.glb", glb(materials=[{}])),
        ("a.obj", obj()),
        ("b.obj", obj(mtl="a.mtl")),
    ):
        (tmp_path / "a.mtl").write_text("newmtl skin\nNs 10\n")
        assert load(tmp_path, name, data).colors is None


def test_vertices_are_split_where_materials_of_different_colors_meet(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\nnewmtl blue\nKd 0 0 1\nnewmtl also\nKd 1 0 0\n")
    faces = "usemtl red\nf 1 2 3\nusemtl {}\nf 1 3 4\n"
    whole = load(tmp_path, "a.obj", obj(mtl="a.mtl", faces=faces.format("also")))
    np.testing.assert_array_equal(whole.faces, [(0, 1, 2), (0, 2, 3)])
    split = load(tmp_path, "b.obj", obj(mtl="a.mtl", faces=faces.format("blue")))
    assert len(split.vertices) == 6
    assert colors_at(split, (0, 0, 0)) == colors_at(split, (1, 0, 1)) == {RED, BLUE}
    assert colors_at(split, (1, 0, 0)) == {RED}
    assert split.colors is not None
    np.testing.assert_allclose(split.colors[split.faces[1]], [BLUE] * 3, atol=1e-6)


# Textures


def square(uv: NDArray[Any], texture: bytes, factor: tuple[float, ...] = (1, 1, 1, 1)) -> bytes:
    """A GLB of a grid of (n, n) vertices with texture coordinates, v downwards, and a texture."""
    n = len(uv)
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    number = np.arange(n * n).reshape(n, n)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    mesh = trimesh.Trimesh(
        np.stack([x.ravel(), y.ravel(), np.zeros(n * n)], axis=1),
        np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]),
        process=False,
    )
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.open(io.BytesIO(texture)), baseColorFactor=[round(255 * value) for value in factor]
    )
    upwards = np.stack([uv[..., 0].ravel(), 1 - uv[..., 1].ravel()], axis=1)
    mesh.visual = trimesh.visual.TextureVisuals(uv=upwards, material=material)
    return bytes(trimesh.Scene(mesh).export(file_type="glb"))


def grid(n: int) -> NDArray[np.float64]:
    return np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij"), axis=-1)


def test_a_texture_is_sampled_where_its_vertices_are(tmp_path: Path) -> None:
    """Its last column is seen at u = 1, where a texture that repeats begins anew."""
    quarters = image([[RED, BLUE], [(0, 1, 0), (1, 1, 1)]] * np.array(255))
    mesh = load(tmp_path, "a.glb", square(grid(2), quarters))
    assert len(mesh.vertices) == 4
    assert colors_at(mesh, (0, 0, 0)) == {RED}
    assert colors_at(mesh, (1, 0, 0)) == {BLUE}
    assert colors_at(mesh, (0, 0, 1)) == {(0, 1, 0)}
    assert colors_at(mesh, (1, 0, 1)) == {(1, 1, 1)}


def test_a_factor_multiplies_a_texture_in_linear_light(tmp_path: Path) -> None:
    mesh = load(tmp_path, "a.glb", square(grid(2), image(np.full((2, 2, 3), 255)), (0.2, 0.4, 1, 1)))
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [to_srgb(np.array((0.2, 0.4, 1), np.float32))] * 4, atol=1e-4)


def test_inside_a_texture_nothing_is_split(tmp_path: Path) -> None:
    """However different the texels around a vertex are: faces see theirs, the vertex their mean."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    mesh = load(tmp_path, "a.glb", square(grid(9), image(noise)))
    assert len(mesh.vertices) == 81
    assert mesh.colors is not None
    assert mesh.colors.std(axis=0).min() > 0.1


def test_vertices_are_split_at_the_seams_of_a_texture(tmp_path: Path) -> None:
    """Two triangles that share an edge, at two places of the texture: red and blue, or red and red."""
    (tmp_path / "a.mtl").write_text("newmtl skin\nmap_Kd a.png\n")
    (tmp_path / "a.png").write_bytes(image([[RED, RED, BLUE, BLUE]] * np.array(255)))
    head = "mtllib a.mtl\n" + "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS)
    places = "".join(f"vt {u} {v}\n" for u in (0.1, 0.4, 0.9) for v in (0.1, 0.9))
    faces = "usemtl skin\nf 1/1 2/2 3/1\nf 1/{0} 3/{0} 4/{0}\n"
    red = load(tmp_path, "a.obj", (head + places + faces.format(3)).encode())
    assert len(red.vertices) == 4
    both = load(tmp_path, "b.obj", (head + places + faces.format(5)).encode())
    assert len(both.vertices) == 6
    assert colors_at(both, (0, 0, 0)) == {RED, BLUE}


def test_the_red_cube_of_the_cases_is_red(tmp_path: Path) -> None:
    """A texture of one red pixel, darkened by a factor, in a file like those that trimesh writes."""
    box = trimesh.creation.box()
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.new("RGB", (4, 4), (255, 0, 0)), baseColorFactor=[102, 102, 102, 255]
    )
    box.visual = trimesh.visual.TextureVisuals(uv=np.random.default_rng(0).random((8, 2)), material=material)
    mesh = load(tmp_path, "red.glb", bytes(trimesh.Scene(box).export(file_type="glb")))
    assert mesh.is_watertight
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [(0.665, 0, 0)] * 8, atol=1e-3)


# What lies beside


def test_lost_textures_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(image([[RED]] * np.array(255)))
    (tmp_path / "in" / "a.mtl").write_text("newmtl skin\nKd 0 0 1\nmap_Kd ../secret.png\n")
    (tmp_path / "in" / "a.obj").write_bytes(obj(mtl="a.mtl"))
    with pytest.warns(LostDataWarning, match=r"a\.obj: colors are missing: '\.\./secret\.png'.*outside"):
        mesh = Mesh.load(tmp_path / "in" / "a.obj")
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [BLUE] * 4)
    (tmp_path / "in" / "b.obj").write_bytes(obj(mtl="gone.mtl"))
    with pytest.warns(LostDataWarning, match=r"gone\.mtl"):
        assert Mesh.load(tmp_path / "in" / "b.obj").colors is None


def test_a_link_to_a_file_is_read_with_what_lies_beside_the_link(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.obj").write_bytes(obj(mtl="a.mtl"))
    (tmp_path / "a.mtl").write_text("newmtl skin\nKd 0 0 1\n")
    (tmp_path / "a.obj").symlink_to(tmp_path / "else" / "a.obj")
    mesh = Mesh.load(tmp_path / "a.obj")
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [BLUE] * 4)


def test_buffers_outside_the_folder_are_refused(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 3}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"uri": "../secret.bin", "byteLength": 36}],
    }  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(np.eye(3, dtype="<f4").tobytes())
    (tmp_path / "in" / "a.gltf").write_text(json.dumps(tree))
    with pytest.raises(InputError, match=r"a\.gltf: '\.\./secret\.bin': expected .* found one outside"):
        Mesh.load(tmp_path / "in" / "a.gltf")
    tree["buffers"][0]["uri"] = "beside.bin"
    (tmp_path / "in" / "beside.bin").write_bytes(np.eye(3, dtype="<f4").tobytes())
    (tmp_path / "in" / "a.gltf").write_text(json.dumps(tree))
    assert len(Mesh.load(tmp_path / "in" / "a.gltf").faces) == 1
