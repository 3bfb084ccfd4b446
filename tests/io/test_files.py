"""Clouds, meshes and pictures written and read again; damaged files refused."""

from __future__ import annotations

import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from enpointe.core.errors import InputError, OutputError
from enpointe.core.files import replacing
from enpointe.geometry import Mesh, PointCloud
from enpointe.io import export, load

PROVENANCE = {"prompt": 'a "näive"\n red\tmotorcycle 中 ' + "long  word " * 60, "seed": 7, "nested": {"a": [1, 2.5]}}


def make_cloud(n: int = 50) -> PointCloud:
    rng = np.random.default_rng(0)
    return PointCloud(rng.normal(size=(n, 3)), rng.random((n, 3)), {"material": np.arange(n)})


def make_mesh(colored: bool = True) -> Mesh:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    return Mesh(
        vertices, faces, np.array([[1, 0, 0], [0, 0.05, 0.1], [0.5, 0.5, 0.5], [0.2, 0.9, 1]]) if colored else None
    )


# Round trips


def test_npz_keeps_every_bit_and_channel(tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.save(tmp_path / "c.npz")
    again = PointCloud.load(tmp_path / "c.npz")
    assert np.array_equal(again.points, cloud.points)
    assert np.array_equal(again.colors, cloud.colors)
    assert np.array_equal(again.channels["material"], cloud.channels["material"])


def test_npz_is_the_releases_format(tmp_path: Path) -> None:
    cloud = make_cloud()
    export.save_cloud(cloud, tmp_path / "c.npz", PROVENANCE)
    with np.load(tmp_path / "c.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"coords", "R", "G", "B", "material"}
        assert np.array_equal(arrays["coords"], cloud.points)
        assert np.array_equal(arrays["G"], cloud.colors[:, 1])


def test_npz_written_by_numpy_compressed_and_column_major(tmp_path: Path) -> None:
    points = np.asfortranarray(np.random.default_rng(1).random((9, 3)))
    np.savez_compressed(tmp_path / "c.npz", coords=points, R=np.zeros(9), G=np.ones(9), B=np.ones(9), note=np.zeros(4))
    cloud = PointCloud.load(tmp_path / "c.npz")
    np.testing.assert_array_equal(cloud.points, points.astype(np.float32))
    np.testing.assert_array_equal(cloud.colors[0], [0, 1, 1])
    assert cloud.channels == {}


def test_ply_cloud_rounds_colors_to_bytes_only(tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.save(tmp_path / "c.ply")
    again = PointCloud.load(tmp_path / "c.ply")
    assert np.array_equal(again.points, cloud.points)
    np.testing.assert_allclose(again.colors, cloud.colors, atol=0.5 / 255 + 1e-6)


def test_ply_is_what_another_reader_finds(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    cloud, mesh = make_cloud(), make_mesh()
    export.save_cloud(cloud, tmp_path / "c.ply", PROVENANCE)
    export.save_mesh(mesh, tmp_path / "m.ply", PROVENANCE)
    other = trimesh.load(tmp_path / "c.ply")
    np.testing.assert_array_equal(other.vertices, cloud.points)
    np.testing.assert_array_equal(other.colors[:, :3], np.round(cloud.colors * 255))
    body = trimesh.load(tmp_path / "m.ply", process=False)
    np.testing.assert_array_equal(body.faces, mesh.faces)
    np.testing.assert_array_equal(body.visual.vertex_colors[:, :3], np.round(mesh.colors * 255))


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
@pytest.mark.parametrize("colored", [True, False])
def test_mesh_round_trip(tmp_path: Path, suffix: str, colored: bool) -> None:
    mesh = make_mesh(colored)
    export.save_mesh(mesh, tmp_path / f"m{suffix}", PROVENANCE)
    again = Mesh.load(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-6)
    assert np.array_equal(again.faces, mesh.faces)
    assert again.volume == pytest.approx(1, abs=1e-6)
    assert again.is_watertight
    if colored:
        # Through eight linear bits, as the reading library keeps a GLB's colours, dark shades are coarse.
        np.testing.assert_allclose(again.colors, mesh.colors, atol=0.02 if suffix == ".glb" else 0.003)
    else:
        assert again.colors is None


def test_glb_follows_the_standard(tmp_path: Path) -> None:
    mesh = make_mesh()
    export.save_mesh(mesh, tmp_path / "m.glb", PROVENANCE)
    data = (tmp_path / "m.glb").read_bytes()
    magic, version, length, json_size = struct.unpack_from("<4sIII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    tree = json.loads(data[20 : 20 + json_size])
    assert tree["asset"]["extras"]["enpointe"] == PROVENANCE
    top = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert top["max"] == [1, 3, 0]  # y up: our height of 3 is its second axis, our depth of 2 its third, negated
    assert top["min"] == [0, 0, -2]
    color = tree["bufferViews"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    values = np.frombuffer(data, "<f4", 12, 20 + json_size + 8 + color["byteOffset"]).reshape(4, 3)
    assert values[2] == pytest.approx(0.2140, abs=1e-4)  # sRGB 0.5 is 21.4 % of the light
    assert all(view["byteOffset"] % 4 == 0 for view in tree["bufferViews"])


@pytest.mark.parametrize("name", ["c.ply", "c.npz", "m.ply", "m.glb"])
def test_provenance_comes_back(tmp_path: Path, name: str) -> None:
    save: Callable[..., None] = export.save_cloud if name[0] == "c" else export.save_mesh
    shape = make_cloud() if name[0] == "c" else make_mesh()
    save(shape, tmp_path / name, PROVENANCE)
    assert load.read_provenance(tmp_path / name) == PROVENANCE
    save(shape, tmp_path / name)
    assert load.read_provenance(tmp_path / name) is None


def test_provenance_cannot_add_lines_to_a_header(tmp_path: Path) -> None:
    export.save_mesh(make_mesh(), tmp_path / "m.obj", {"prompt": "x\nv 9 9 9\r\nend_header\n"})
    assert Mesh.load(tmp_path / "m.obj").vertices.max() == 3
    export.save_mesh(make_mesh(), tmp_path / "m.ply", {"prompt": "x\nelement vertex 9\r\n"})
    assert len(Mesh.load(tmp_path / "m.ply").vertices) == 4


def test_same_cloud_same_bytes(tmp_path: Path) -> None:
    for suffix in (".ply", ".npz"):
        export.save_cloud(make_cloud(), tmp_path / f"a{suffix}", PROVENANCE)
        export.save_cloud(make_cloud(), tmp_path / f"b{suffix}", PROVENANCE)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    export.save_image(image, tmp_path / "i.png", PROVENANCE)
    with Image.open(tmp_path / "i.png") as again:
        assert np.array_equal(np.asarray(again), image)
        assert json.loads(again.info["enpointe"]) == PROVENANCE
    with pytest.raises(InputError, match="expected uint8"):
        export.save_image(image / 255, tmp_path / "i.png")


# Ways in which PLY files differ

TEXT = """ply\r
format ascii 1.0\r
comment made by hand\r
element vertex 4\r
property double x\r
property double y\r
property double z\r
property float quality\r
property {kind} red\r
property {kind} green\r
property {kind} blue\r
element face 2\r
property uchar flag\r
property list uchar int vertex_indices\r
end_header\r
0 0 0 0.5 {full} 0 0\r
1 0 0 0.5 {full} 0 0\r
1 1 0 0.5 {full} 0 0\r
0 1 0.25 0.5 {full} 0 {full}\r
{faces}"""


@pytest.mark.parametrize(("kind", "full"), [("uchar", 255), ("ushort", 65535), ("float", 1), ("float32", 1.0)])
def test_ascii_ply_with_extra_properties(tmp_path: Path, kind: str, full: float) -> None:
    (tmp_path / "a.ply").write_text(TEXT.format(kind=kind, full=full, faces="9 3 0 1 2\n9 3 0 2 3"))
    cloud = PointCloud.load(tmp_path / "a.ply")
    np.testing.assert_array_equal(cloud.points[3], [0, 1, 0.25])
    np.testing.assert_array_equal(cloud.colors, [[1, 0, 0]] * 3 + [[1, 0, 1]])
    assert np.array_equal(Mesh.load(tmp_path / "a.ply").faces, [[0, 1, 2], [0, 2, 3]])


def test_polygons_of_different_sizes_become_fans(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(TEXT.format(kind="uchar", full=255, faces="9 4 0 1 2 3\n9 3 0 2 3\n"))
    assert Mesh.load(tmp_path / "a.ply").faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 2, 3]]


def test_big_endian_ply_with_a_list_before_the_vertices(tmp_path: Path) -> None:
    header = (
        "ply\nformat binary_big_endian 1.0\nelement strip 2\nproperty list ushort short items\n"
        "element vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    body = struct.pack(">H2hH1h", 2, 5, 6, 1, 7) + struct.pack(">6f", 1, 2, 3, 4, 5, 6)
    (tmp_path / "a.ply").write_bytes(header.encode() + body)
    cloud = PointCloud.load(tmp_path / "a.ply")
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.ptp(cloud.colors) == 0  # grey


# Damaged files


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
    "npz with short colours": (".npz", npz_bytes(coords=GOOD_POINTS[:3], **RGB), r"of shape \(3,\)"),
    "npz with colours to 255": (
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
    "glb of a billion": (".glb", glb_declaring(10**9), "expected at most"),
    "glb of a negative count": (".glb", glb_declaring(-1), "expected at most"),
    "garbage as glb": (".glb", GARBAGE, "expected a GLB file"),
    "glb cut short": (".glb", glb_declaring(1)[:-4], "expected .* bytes"),
    "obj without faces": (".obj", TRIANGLE, "expected"),
    "obj pointing beyond its vertices": (".obj", TRIANGLE + b"f 1 2 9\n", "expected"),
    "garbage as obj": (".obj", GARBAGE, "expected"),
    "ply without faces": (".ply", ply_bytes(), "expected faces, found 3 points"),
    "folder-less suffix": (".fbx", b"", "expected a file name ending in .glb, .obj, .ply"),
}


@pytest.mark.parametrize("case", BAD_MESHES)
def test_bad_mesh_files(tmp_path: Path, case: str) -> None:
    suffix, content, message = BAD_MESHES[case]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Mesh.load(path)
    assert "\n" not in str(caught.value)


def test_faces_beyond_the_vertices(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(TEXT.format(kind="uchar", full=255, faces="9 3 0 1 4\n9 3 0 2 3"))
    with pytest.raises(InputError, match="expected indices from 0 to 3, found 0 to 4"):
        Mesh.load(tmp_path / "a.ply")


def test_any_cut_of_a_good_file_is_one_clear_error(tmp_path: Path) -> None:
    for name, shape in (
        ("a.ply", make_cloud(6)),
        ("a.npz", make_cloud(6)),
        ("m.ply", make_mesh()),
        ("m.glb", make_mesh()),
    ):
        # No provenance in the zip: it would stand last, and a cloud whose remark alone is cut is whole.
        shape.save(tmp_path / name, None if name == "a.npz" else {"prompt": "x"})
        data = (tmp_path / name).read_bytes()
        for length in range(0, len(data) - 1, max(1, len(data) // 40)):
            (tmp_path / name).write_bytes(data[:length])
            with pytest.raises(InputError):
                type(shape).load(tmp_path / name)


def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for name, shape in (("a.ply", make_cloud(6)), ("a.npz", make_cloud(6)), ("m.ply", make_mesh())):
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


# Writing that fails


@pytest.mark.parametrize(
    ("save", "known"),
    [
        (lambda p: export.save_cloud(make_cloud(), p), ".npz, .ply"),
        (lambda p: export.save_mesh(make_mesh(), p), ".glb, .obj, .ply"),
        (lambda p: export.save_image(np.zeros((2, 2, 3), np.uint8), p), ".png"),
    ],
)
def test_unknown_suffix_names_the_known(tmp_path: Path, save: Callable[[Path], None], known: str) -> None:
    for name in ("a.stl", "a"):
        with pytest.raises(InputError, match=f"ending in {known}, found"):
            save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "there.ply").mkdir()
    for path in (tmp_path / "absent" / "c.ply", tmp_path / "there.ply"):
        with pytest.raises(OutputError, match="expected a place to write"):
            make_cloud().save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["there.ply"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), replacing(tmp_path / "a") as file:
        os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
        file.write(bytes(100_000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"


def test_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".ply")
    make_cloud().save(path)
    assert len(PointCloud.load(path)) == 50
