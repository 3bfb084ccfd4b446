"""Ways in which PLY files differ."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.geometry import Mesh, PointCloud
from enpointe.geometry.colors import to_linear
from enpointe.io.assets.files import FolderFiles
from enpointe.io.formats import holds_mesh, read_model
from enpointe.io.sample_folder import SampleFolder

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
    with pytest.warns(LostDataWarning, match=r"a\.ply: no colors, so its points are gray"):
        cloud = PointCloud.load(tmp_path / "a.ply")
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (cloud.colors == np.float32(0.7)).all()


def test_ply_cloud_rounds_colors_to_bytes_only(cloud: PointCloud, tmp_path: Path) -> None:
    cloud.save(tmp_path / "c.ply")
    again = PointCloud.load(tmp_path / "c.ply")
    assert np.array_equal(again.points, cloud.points)
    np.testing.assert_allclose(again.colors, cloud.colors, atol=0.5 / 255 + 1e-6)


def test_ply_is_what_another_reader_finds(cloud: PointCloud, mesh: Mesh, tmp_path: Path) -> None:
    cloud.save(tmp_path / "c.ply", {"prompt": "a cup"})
    mesh.save(tmp_path / "m.ply", {"prompt": "a cup"})
    other: Any = trimesh.load(tmp_path / "c.ply")
    np.testing.assert_array_equal(other.vertices, cloud.points)
    np.testing.assert_array_equal(other.colors[:, :3], np.round(cloud.colors * 255))
    body: Any = trimesh.load(tmp_path / "m.ply", process=False)
    np.testing.assert_array_equal(body.faces, mesh.faces)
    assert mesh.colors is not None
    np.testing.assert_array_equal(body.visual.vertex_colors[:, :3], np.round(mesh.colors * 255))


def test_faces_beyond_the_vertices(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(TEXT.format(kind="uchar", full=255, faces="9 3 0 1 4\n9 3 0 2 3"))
    with pytest.raises(InputError, match="expected indices of vertices from 0 to 3, found 0 to 4"):
        Mesh.load(tmp_path / "a.ply")


def test_colors_of_vertices_are_srgb() -> None:
    head = (
        b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        b"property uchar red\nproperty uchar green\nproperty uchar blue\n"
        b"element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    body = b"0 0 0 255 0 0\n1 0 0 0 128 0\n0 1 0 0 0 255\n3 0 1 2\n"
    model = read_model(head + body, ".ply", FolderFiles(Path()))
    np.testing.assert_allclose(
        model.shade[0], [(1, 0, 0), (0, to_linear(np.array([128 / 255], np.float32))[0], 0), (0, 0, 1)], atol=1e-6
    )


def test_colors_of_faces_become_those_of_their_own_vertices(tmp_path: Path) -> None:
    """A red square of two triangles beside a blue triangle: the edge between is there twice."""
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty list uchar int vertex_indices\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
        "0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 0 0\n4 0 1 2 3 255 0 0\n3 1 4 2 0 0 255\n"
    )
    mesh = Mesh.load(tmp_path / "a.ply")
    assert mesh.colors is not None
    assert len(mesh.vertices) == 7
    np.testing.assert_allclose(mesh.colors[mesh.faces[0]], [(1, 0, 0)] * 3, atol=1e-6)
    np.testing.assert_allclose(mesh.colors[mesh.faces[1]], [(1, 0, 0)] * 3, atol=1e-6)
    np.testing.assert_allclose(mesh.colors[mesh.faces[2]], [(0, 0, 1)] * 3, atol=1e-6)
    assert mesh.area == pytest.approx(1.5)


@pytest.mark.parametrize(("count", "expected"), [("1", True), ("0", False)])
def test_a_header_says_whether_a_file_is_a_mesh(tmp_path: Path, count: str, expected: bool) -> None:
    (tmp_path / "a.PLY").write_text(
        f"ply\nformat ascii 1.0\ncomment element face 3\nelement vertex 1\nelement face {count}\nend_header\n"
    )
    assert holds_mesh(tmp_path / "a.PLY") is expected


def test_channels_that_are_left_out_are_a_warning(cloud: PointCloud, tmp_path: Path) -> None:
    with pytest.warns(LostDataWarning, match=r"a\.ply: the format has no place for channels, left out: material"):
        cloud.save(tmp_path / "a.ply")
    assert PointCloud.load(tmp_path / "a.ply").channels == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cloud.save(tmp_path / "a.npz")
        PointCloud(cloud.points, cloud.colors).save(tmp_path / "a.ply")
        SampleFolder(tmp_path / "sample").write(cloud, None, {}, page="")  # its .npz has them
