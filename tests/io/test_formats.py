"""Formats by their suffixes: whole files, damaged ones, and a format more."""

from __future__ import annotations

import io
import json
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enpointe.io
from data.hostile import CORNERS, FACES, glb, obj, ply, stl
from enpointe.cli import main
from enpointe.core.errors import InputError, OutputError
from enpointe.geometry import Mesh, PointCloud
from enpointe.io.assets.files import FolderFiles
from enpointe.io.formats import FORMATS, load, read_model, read_provenance, suffixes

PROVENANCE = {"prompt": 'a "näive"\n red\tmotorcycle 中 ' + "long  word " * 60, "seed": 7, "nested": {"a": [1, 2.5]}}


def test_all_formats_hold_the_same_triangles(tmp_path: Path) -> None:
    z_up = np.array(CORNERS)[np.array(FACES)]
    for suffix, data in (
        (".obj", obj()), (".glb", glb()), (".ply", ply()), (".ply", ply(text=True)), (".stl", stl()),
        (".stl", stl(text=True)),
    ):  # fmt: skip
        expected = z_up
        if suffix in (".obj", ".glb"):
            expected = np.stack([z_up[..., 0], -z_up[..., 2], z_up[..., 1]], axis=-1)
        np.testing.assert_allclose(read_model(data, suffix, FolderFiles(tmp_path)).triangles, expected, atol=1e-6)
        (tmp_path / f"m{suffix}").write_bytes(data)
        mesh = Mesh.load(tmp_path / f"m{suffix}")
        assert len(mesh.vertices) == 4
        np.testing.assert_allclose(mesh.vertices[mesh.faces], expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
@pytest.mark.parametrize("colored", [True, False])
def test_mesh_round_trip(mesh: Mesh, tmp_path: Path, suffix: str, colored: bool) -> None:
    mesh = mesh if colored else Mesh(mesh.vertices, mesh.faces)
    mesh.save(tmp_path / f"m{suffix}", PROVENANCE)
    again = Mesh.load(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-6)
    assert np.array_equal(again.faces, mesh.faces)
    assert again.volume == pytest.approx(1, abs=1e-6)
    assert again.is_watertight
    if mesh.colors is None:
        assert again.colors is None
    else:
        assert again.colors is not None
        np.testing.assert_allclose(again.colors, mesh.colors, atol=0.003 if suffix == ".ply" else 1e-6)


@pytest.mark.parametrize("name", ["c.ply", "c.npz", "m.ply", "m.glb"])
def test_provenance_comes_back(cloud: PointCloud, mesh: Mesh, tmp_path: Path, name: str) -> None:
    shape = cloud if name[0] == "c" else mesh
    shape.save(tmp_path / name, PROVENANCE)
    assert read_provenance(tmp_path / name) == PROVENANCE
    shape.save(tmp_path / name)
    assert read_provenance(tmp_path / name) is None


def test_what_has_no_provenance_that_is_read(mesh: Mesh, tmp_path: Path) -> None:
    mesh.save(tmp_path / "m.obj", PROVENANCE)
    assert read_provenance(tmp_path / "m.obj") is None
    with pytest.raises(InputError, match=r"found '\.txt'"):
        read_provenance(tmp_path / "m.txt")


def test_provenance_cannot_add_lines_to_a_header(mesh: Mesh, tmp_path: Path) -> None:
    mesh.save(tmp_path / "m.obj", {"prompt": "x\nv 9 9 9\r\nend_header\n"})
    assert Mesh.load(tmp_path / "m.obj").vertices.max() == 3
    mesh.save(tmp_path / "m.ply", {"prompt": "x\nelement vertex 9\r\n"})
    assert len(Mesh.load(tmp_path / "m.ply").vertices) == 4


def test_same_cloud_same_bytes(cloud: PointCloud, tmp_path: Path) -> None:
    for suffix in (".ply", ".npz"):
        for name in "ab":
            cloud.save(tmp_path / f"{name}{suffix}", PROVENANCE)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def ply_bytes(count: int = 3, body: bytes = np.zeros(9, "<f4").tobytes(), form: str = "binary_little_endian") -> bytes:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    return f"ply\nformat {form} 1.0\nelement vertex {count}\n{axes}end_header\n".encode() + body


def npz_bytes(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npz_declaring(shape: tuple[int, ...], content: int, kind: str = "<f4") -> bytes:
    """A zip of one array whose header states a shape that its content need not have."""
    stream, head = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coords.npy", head.getvalue() + bytes(content))
    return stream.getvalue()


def glb_declaring(count: int) -> bytes:
    tree = {
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"componentType": 5126, "type": "VEC3", "count": count}],
    }  # fmt: skip
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def npz_of_a_broken_header() -> bytes:
    """numpy reads such a header with Python's tokenizer, which has errors of its own."""
    stream, head = io.BytesIO(), b"{'descr': '<f4', 'shape': ((4, 3}\n"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("coords.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    return stream.getvalue()


RGB = {name: np.zeros(4) for name in "RGB"}


GOOD_POINTS = np.random.default_rng(0).random((4, 3))


GARBAGE = np.random.default_rng(0).bytes(1000)


LIST = b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty list uint float x\nend_header\n"


BAD_CLOUDS = {
    "ply of a billion": (".ply", ply_bytes(10**9), "expected 12000000000 bytes .* found 36"),
    "ascii ply of a billion": (".ply", ply_bytes(10**9, b"0 0 0\n" * 3, "ascii"), "expected 6000000000 bytes"),
    "ply of a count beyond integers": (".ply", ply_bytes(10**30), "expected a line of a PLY header"),
    "ply of a negative count": (".ply", ply_bytes(-1), "expected a line of a PLY header"),
    "ply of none": (".ply", ply_bytes(0, b""), "expected at least one vertex, found none"),
    "ply cut short": (".ply", ply_bytes()[:-1], "expected 36 bytes .* found 35"),
    "ply of NaN": (".ply", ply_bytes(1, np.full(3, np.nan, "<f4").tobytes()), "expected finite .* found 3 of 3"),
    "ascii ply of words": (".ply", ply_bytes(1, b"0 zero 0\n", "ascii"), "expected numbers"),
    "ascii ply of too few": (".ply", ply_bytes(2, b"0.12345 1.2345 0\n", "ascii"), "end before the last"),
    "ply with a list of a billion": (".ply", LIST + struct.pack("<I", 10**9), "end before the last"),
    "ply without a body": (".ply", b"ply\nformat ascii 1.0\n", "expected 'end_header'"),
    "ply without z": (".ply", ply_bytes().replace(b" z\n", b" w\n"), "expected vertex properties x, y, z"),
    "ply without a format": (".ply", ply_bytes().replace(b"format", b"comment"), "expected a 'format' line"),
    "garbage as ply": (".ply", GARBAGE, "expected a PLY file"),
    "garbage after ply": (".ply", b"ply\n" + GARBAGE + b"end_header\n", "expected a line of a PLY header"),
    "empty ply": (".ply", b"", "expected a PLY file"),
    "garbage as npz": (".npz", GARBAGE, "expected an NPZ file"),
    "empty npz": (".npz", b"", "expected an NPZ file"),
    "npz cut short": (".npz", npz_bytes(coords=GOOD_POINTS, **RGB)[:-40], "expected an NPZ file"),
    "npz of a billion": (".npz", npz_declaring((10**9, 3), 100), "expected at most"),
    "npz of a false size": (".npz", npz_declaring((1000, 3), 100), "expected 12000 bytes"),
    "npz of a negative size": (".npz", npz_declaring((-4, -3), 48), "expected"),
    "npz of a broken header": (".npz", npz_of_a_broken_header(), "expected an NPZ file"),
    "npz bomb": (".npz", npz_declaring((4, 3), 50_000_000), "expected 48 bytes"),
    "npz of pickles": (".npz", npz_bytes(coords=np.array([{}] * 3)), "expected numbers, found dtype object"),
    "npz of NaN": (".npz", npz_bytes(coords=GOOD_POINTS * np.nan, **RGB), "expected finite"),
    "npz of huge doubles": (".npz", npz_bytes(coords=GOOD_POINTS * 1e300, **RGB), "expected finite"),
    "npz of two axes": (".npz", npz_bytes(coords=GOOD_POINTS[:, :2], **RGB), r"shape \(n, 3\), found \(4, 2\)"),
    "npz of none": (".npz", npz_bytes(coords=np.zeros((0, 3))), "expected at least one row"),
    "npz without coords": (".npz", npz_bytes(**RGB), "expected an array 'coords', found 'R', 'G', 'B'"),
    "npz without B": (".npz", npz_bytes(coords=GOOD_POINTS, R=RGB["R"], G=RGB["G"]), "found no B"),
    "npz with short colors": (".npz", npz_bytes(coords=GOOD_POINTS[:3], **RGB), r"of shape \(3,\)"),
    "npz with colors to 255": (
        ".npz", npz_bytes(coords=GOOD_POINTS, **{**RGB, "R": np.full(4, 255)}), r"in \[0, 1\], found 0 to 255",
    ),
    "unknown suffix": (".xyz", b"0 0 0", "expected a file name ending in .npz, .ply, found '.xyz'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CLOUDS)
def test_bad_cloud_files(tmp_path: Path, case: str) -> None:
    suffix, content, message = BAD_CLOUDS[case]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as caught:
        PointCloud.load(path)
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


TRIANGLE = b"v 0 0 0\nv 1 0 0\nv 0 1 0\n"


BAD_MESHES = {
    "glb of a billion": (
        ".glb",
        glb_declaring(10**9),
        "expected arrays of at most 40000000 elements, found 1000000000",
    ),
    "glb of a negative count": (".glb", glb_declaring(-1), "expected a count of elements, found -1"),
    "garbage as glb": (".glb", GARBAGE, "expected a binary glTF file"),
    "glb cut short": (".glb", glb_declaring(1)[:-4], "expected .* bytes"),
    "obj without faces": (".obj", TRIANGLE, "expected"),
    "obj pointing beyond its vertices": (".obj", TRIANGLE + b"f 1 2 9\n", "expected"),
    "garbage as obj": (".obj", GARBAGE, "expected"),
    "ply without faces": (".ply", ply_bytes(), "expected a mesh, found 3 points without any faces"),
    "unknown suffix": (".fbx", b"", "expected a file name ending in .ply, .glb, .gltf, .obj, .stl, found '.fbx'"),
}


@pytest.mark.parametrize("case", BAD_MESHES)
def test_bad_mesh_files(tmp_path: Path, case: str) -> None:
    suffix, content, message = BAD_MESHES[case]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Mesh.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_any_cut_of_a_good_file_is_one_clear_error(cloud: PointCloud, mesh: Mesh, tmp_path: Path) -> None:
    few = cloud.select(np.arange(6))
    for name, shape in (("a.ply", few), ("a.npz", few), ("m.ply", mesh), ("m.glb", mesh)):
        # No provenance in the zip: it would stand last, and a cloud whose remark alone is cut is whole.
        shape.save(tmp_path / name, None if name == "a.npz" else {"prompt": "x"})
        data = (tmp_path / name).read_bytes()
        for length in range(0, len(data) - 1, max(1, len(data) // 40)):
            (tmp_path / name).write_bytes(data[:length])
            with pytest.raises(InputError):
                type(shape).load(tmp_path / name)


@pytest.mark.filterwarnings("ignore::enpointe.core.warnings.LostDataWarning")
@pytest.mark.slow
def test_flipped_bytes_never_escape_as_another_error(cloud: PointCloud, mesh: Mesh, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    few = cloud.select(np.arange(6))
    for name, shape in (
        ("a.ply", few), ("a.npz", few), ("m.ply", mesh), ("m.glb", mesh), ("m.obj", mesh),
    ):  # fmt: skip
        shape.save(tmp_path / name)
        data = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for _ in range(150):
            damaged = data.copy()
            damaged[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            (tmp_path / name).write_bytes(damaged.tobytes())
            with suppress(InputError):
                type(shape).load(tmp_path / name)


@pytest.mark.parametrize("path", ["absent.ply", "absent.npz", ".", "folder.ply"])
def test_no_such_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(InputError, match="expected"):
        PointCloud.load(tmp_path / path)


def test_unknown_suffix_names_the_known(cloud: PointCloud, mesh: Mesh, tmp_path: Path) -> None:
    for shape, known in ((cloud, ".npz, .ply"), (mesh, ".ply, .glb, .obj")):
        for name in ("a.stl", "a"):
            with pytest.raises(InputError, match=f"ending in {known}, found"):
                shape.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_folder_in_the_way(cloud: PointCloud, tmp_path: Path) -> None:
    (tmp_path / "there.ply").mkdir()
    for path in (tmp_path / "absent" / "c.ply", tmp_path / "there.ply"):
        with pytest.raises(OutputError, match="expected a place to write"):
            cloud.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["there.ply"]


def test_the_longest_name(cloud: PointCloud, tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".ply")
    cloud.save(path)
    assert len(PointCloud.load(path)) == 50


# A format more

FORMAT = """
from enpointe.io.formats import FORMATS, CloudArrays, Format
from enpointe.io.assets.model import Material
import numpy as np

def rows(data):
    return np.loadtxt(data.decode().splitlines()[1:], ndmin=2)

def read_cloud(data):
    table = rows(data)
    return CloudArrays(table[:, :3], table[:, 3:])

def read_model(data, files, builder):
    corners = rows(data)[:, :3].reshape(-1, 3, 3)
    color = np.fromstring(files.get("color.txt"), np.float32, sep=" ")
    builder.add(corners, builder.add_material(Material(color)))

def write_cloud(file, cloud, provenance):
    file.write(b"cloud\\n")
    np.savetxt(file, np.hstack([cloud.points, cloud.colors]))

def write_mesh(file, mesh, provenance):
    file.write(b"mesh\\n")
    np.savetxt(file, mesh.vertices[mesh.faces].reshape(-1, 3))

FORMATS.register(".rows")(Format(
    read_cloud, read_model, is_mesh=lambda beginning: beginning.startswith(b"mesh"),
    write_cloud=write_cloud, write_mesh=write_mesh,
))
"""


@pytest.fixture
def rows_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module `enpointe.io.rows`, in a folder that the package is given for the while."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "rows.py").write_text(FORMAT)
    monkeypatch.setattr(enpointe.io, "__path__", [*enpointe.io.__path__, str(folder)])
    monkeypatch.setattr(FORMATS, "_complete", False)
    yield
    FORMATS.unregister(".rows")
    del sys.modules["enpointe.io.rows"]


@pytest.mark.usefixtures("rows_format")
def test_a_format_is_one_module(
    cloud: PointCloud, mesh: Mesh, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert suffixes("read_cloud") == [".npz", ".ply", ".rows"]
    (tmp_path / "color.txt").write_text("0.5 0 1")
    mesh.save(tmp_path / "m.rows")
    again = Mesh.load(tmp_path / "m.rows")
    assert (len(again.vertices), again.volume) == pytest.approx((4, 1))
    assert again.colors is not None
    np.testing.assert_allclose(again.colors, [(0.5, 0, 1)] * 4)
    assert isinstance(load(tmp_path / "m.rows"), Mesh)
    cloud.save(tmp_path / "c.rows")
    np.testing.assert_allclose(PointCloud.load(tmp_path / "c.rows").points, cloud.points, atol=1e-6)

    for name, shown in (("c", "cloud"), ("m", "mesh")):
        page = tmp_path / f"{name}.html"
        assert main(["view", str(tmp_path / f"{name}.rows"), "--out", str(page)]) == 0
        assert f'"{shown}":{{' in page.read_text()
    ball = np.random.default_rng(0).normal(size=(2000, 3))
    ball /= 2 * np.linalg.norm(ball, axis=1, keepdims=True)
    PointCloud(ball, np.full_like(ball, 0.5)).save(tmp_path / "c.rows")
    command = ["mesh", str(tmp_path / "c.rows"), "--grid", "16", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out.rows")]) == 0
    assert len(Mesh.load(tmp_path / "out.rows").faces) > 0
    capsys.readouterr()


def test_an_unknown_format_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.rows").write_text("")
    assert main(["view", str(tmp_path / "c.rows")]) == 2
    assert "expected a file ending in .npz, .ply, .glb, .gltf, .obj or .stl" in capsys.readouterr().err
