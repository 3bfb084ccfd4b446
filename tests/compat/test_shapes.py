"""The release's clouds, meshes, files and figures."""

from __future__ import annotations

import importlib
import io
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError, MeshError
from enpointe.geometry import Mesh
from enpointe.geometry import PointCloud as Cloud
from point_e.models.sdf import PointCloudSDFModel
from point_e.util.mesh import TriMesh
from point_e.util.pc_to_mesh import marching_cubes_mesh
from point_e.util.plotting import plot_point_cloud
from point_e.util.ply_util import write_ply
from point_e.util.point_cloud import PointCloud

mpl.use("Agg")
Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


def make_cloud(n: int = 40, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    colors = {name: rng.random(n).astype(np.float32) for name in "RGB"}
    return PointCloud(rng.normal(size=(n, 3)).astype(np.float32), {**colors, "label": np.arange(n)})


def recorded_cloud(tensors: dict[str, Tensor]) -> PointCloud:
    return PointCloud(tensors["coords"].numpy(), {name: tensors[name].numpy() for name in "RGB"})


@pytest.mark.golden
def test_recorded_samples(golden: Golden, tmp_path: Path) -> None:
    tensors, _ = golden("point_cloud")
    cloud = recorded_cloud(tensors)
    some = cloud.farthest_point_sample(64, init_idx=5)
    np.testing.assert_array_equal(some.coords, tensors["fps64.coords"].numpy())
    np.testing.assert_array_equal(some.channels["R"], tensors["fps64.R"].numpy())
    averaged = cloud.farthest_point_sample(64, init_idx=5, average_neighbors=True)
    np.testing.assert_allclose(averaged.channels["R"], tensors["fps64_avg.R"].numpy(), rtol=1e-5)
    assert cloud.nearest_points(tensors["queries"].numpy()).tolist() == tensors["nearest"].tolist()
    theirs, ours = tmp_path / "theirs.ply", tmp_path / "ours.ply"
    theirs.write_bytes(tensors["ply"].numpy().tobytes())
    with ours.open("wb") as file:
        cloud.write_ply(file)
    for name in ("points", "colors"):
        np.testing.assert_array_equal(getattr(Cloud.load(ours), name), getattr(Cloud.load(theirs), name))
    assert ours.read_bytes() == theirs.read_bytes()


class Ellipsoid(PointCloudSDFModel):
    """0.3 - |(x, 1.3 y, 0.8 z)|, and what it was asked."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset, self.asked = offset, 0

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def default_batch_size(self) -> int:
        return 1

    def encode_point_clouds(self, point_clouds: Tensor) -> dict[str, Tensor]:
        return {"points": point_clouds}

    def predict_sdf(self, x: Tensor, encoded: Any) -> Tensor:
        self.asked += x.shape[2]
        return self.offset + 0.3 - (x * torch.tensor([1, 1.3, 0.8])[:, None]).norm(dim=1)


@pytest.mark.golden
def test_recorded_mesh(golden: Golden, tmp_path: Path) -> None:
    tensors, about = golden("mesh_ellipsoid")
    channels = {name: tensors[f"ch_{name}"].numpy() for name in "RGB"}
    mesh = marching_cubes_mesh(
        PointCloud(tensors["coords"].numpy(), channels), Ellipsoid(), batch_size=1000, grid_size=about["grid_size"]
    )
    np.testing.assert_allclose(mesh.verts, tensors["verts"].numpy(), atol=1e-5)
    np.testing.assert_array_equal(mesh.faces, tensors["faces"].numpy())
    assert mesh.normals is not None
    np.testing.assert_allclose(mesh.normals, tensors["normals"].numpy(), atol=1e-3)
    assert mesh.vertex_channels is not None
    np.testing.assert_array_equal(mesh.vertex_channels["R"], tensors["R"].numpy())
    theirs, ours = tmp_path / "theirs.ply", tmp_path / "ours.ply"
    theirs.write_bytes(tensors["ply"].numpy().tobytes())
    with ours.open("wb") as file:
        mesh.write_ply(file)
    assert ours.read_bytes().partition(b"end_header")[0] == theirs.read_bytes().partition(b"end_header")[0]
    found, expected = Mesh.load(ours), Mesh.load(theirs)
    np.testing.assert_array_equal(found.faces, expected.faces)
    np.testing.assert_array_equal(found.colors, expected.colors)


def test_dense_and_sparse_grids_give_one_surface() -> None:
    dense, sparse = Ellipsoid(), Ellipsoid()
    cloud = make_cloud()
    one = marching_cubes_mesh(cloud, dense, grid_size=32, side_length=2.0)
    other = marching_cubes_mesh(cloud, sparse, grid_size=32, side_length=2.0, method="sparse", progress=True)
    assert dense.asked == 32**3 > 2 * sparse.asked
    np.testing.assert_array_equal(one.verts, other.verts)
    np.testing.assert_array_equal(one.faces, other.faces)


def test_a_field_of_one_sign_is_recentered_and_channels_can_be_left_out() -> None:
    mesh = marching_cubes_mesh(make_cloud(), Ellipsoid(offset=5.0), grid_size=12, fill_vertex_channels=False)
    assert len(mesh.faces) > 0
    assert mesh.vertex_channels is None
    assert not mesh.has_vertex_colors()
    with pytest.raises(MeshError):
        marching_cubes_mesh(make_cloud(), Ellipsoid(offset=float("inf")), grid_size=8)


class HalfSpace(Ellipsoid):
    """0.1 - x."""

    def predict_sdf(self, x: Tensor, encoded: Any) -> Tensor:
        return 0.1 - x[:, 0]


@pytest.mark.parametrize("size", [2, 3, 7])
def test_small_grids(size: int) -> None:
    """A plane between the samples comes out whole, whatever the grid."""
    cloud = make_cloud()
    mesh = marching_cubes_mesh(cloud, HalfSpace(), grid_size=size, batch_size=5, side_length=2.0, progress=True)
    np.testing.assert_allclose(mesh.verts[:, 0], 0.1, atol=1e-6)
    assert (len(mesh.verts), len(mesh.faces)) == (size**2, 2 * (size - 1) ** 2)
    assert mesh.vertex_channels is not None
    assert mesh.vertex_channels["label"].tolist() == cloud.nearest_points(mesh.verts).tolist()
    with pytest.raises(InputError, match="grid_size: expected at least 2"):
        marching_cubes_mesh(cloud, Ellipsoid(), grid_size=1)


def test_a_surface_that_meets_the_box_stays_open() -> None:
    whole, cut = (
        marching_cubes_mesh(make_cloud(), Ellipsoid(), grid_size=24, side_length=side) for side in (1.02, 0.5)
    )
    mesh = Mesh(whole.verts, whole.faces)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3 / (1.3 * 0.8), rel=0.03)  # positive: faces outward
    assert not Mesh(cut.verts, cut.faces).is_watertight


def test_cloud_files_by_name_and_open(tmp_path: Path) -> None:
    cloud, path = make_cloud(), tmp_path / "cloud.bin"
    memory = io.BytesIO()
    cloud.save(str(path))
    cloud.save(memory)
    memory.seek(0)
    with path.open("rb") as file:
        loaded = [PointCloud.load(str(path)), PointCloud.load(file), PointCloud.load(memory)]
    with np.load(path) as arrays:
        assert set(arrays) == {"coords", "R", "G", "B", "label"}
    for other in loaded:
        assert other.channels.keys() == cloud.channels.keys()
        np.testing.assert_array_equal(other.coords, cloud.coords)
        for name, values in cloud.channels.items():
            np.testing.assert_array_equal(other.channels[name], values)
            assert other.channels[name].dtype == values.dtype
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="expected an NPZ file"):
        PointCloud.load(str(path))
    np.savez(tmp_path / "other.npz", points=cloud.coords)
    with pytest.raises(InputError, match="expected an array coords, found points"):
        PointCloud.load(str(tmp_path / "other.npz"))
    with pytest.raises(FileNotFoundError):
        PointCloud.load(str(tmp_path / "none.npz"))


def test_mesh_files(tmp_path: Path) -> None:
    mesh = TriMesh(np.eye(3), np.array([[0, 1, 2]]), np.ones((3, 3)), {"R": np.zeros(3)}, {"area": np.ones(1)})
    mesh.save(str(tmp_path / "mesh.npz"))
    loaded = TriMesh.load(str(tmp_path / "mesh.npz"))
    np.testing.assert_array_equal(loaded.verts, mesh.verts)
    np.testing.assert_array_equal(loaded.faces, mesh.faces)
    assert loaded.normals is not None
    assert loaded.vertex_channels is not None
    assert loaded.face_channels is not None
    assert (list(loaded.vertex_channels), list(loaded.face_channels)) == (["R"], ["area"])
    assert not loaded.has_vertex_colors()
    bare = TriMesh(mesh.verts, mesh.faces, vertex_channels=None)
    bare.save(str(tmp_path / "bare.npz"))
    assert TriMesh.load(str(tmp_path / "bare.npz")).normals is None
    with pytest.raises(InputError, match="expected arrays verts and faces, found coords"):
        make_cloud().save(str(tmp_path / "cloud.npz"))
        TriMesh.load(str(tmp_path / "cloud.npz"))


def test_channels_of_any_plain_type(tmp_path: Path) -> None:
    cloud = make_cloud(3)
    cloud.channels |= {"name": np.array(["a", "bb", "c"]), "flag": np.array([True, False, True]), "one": np.array(2.5)}
    memory = io.BytesIO()
    channels: dict[str, Any] = cloud.channels
    np.savez(memory, coords=cloud.coords, **channels)
    memory.seek(0)
    cloud.save(str(tmp_path / "cloud.npz"))
    for loaded in (PointCloud.load(memory), PointCloud.load(str(tmp_path / "cloud.npz"))):
        assert loaded.channels.keys() == cloud.channels.keys()
        for name, values in cloud.channels.items():
            assert (loaded.channels[name].dtype, loaded.channels[name].shape) == (values.dtype, values.shape)
            np.testing.assert_array_equal(loaded.channels[name], values)
    del cloud.channels["one"]  # of no point
    assert cloud.combine(cloud).subsample([4, 0]).channels["name"].tolist() == ["bb", "a"]
    assert cloud.nearest_points(cloud.coords[[2, 0]]).tolist() == [2, 0]
    cloud.channels["any"] = np.array([object(), None, 1])
    with pytest.raises(InputError, match="any: expected an array of plain values"):
        cloud.save(str(tmp_path / "objects.npz"))
    np.savez(tmp_path / "objects.npz", coords=cloud.coords, any=cloud.channels["any"])
    with pytest.raises(InputError, match="expected an NPZ file"):
        PointCloud.load(str(tmp_path / "objects.npz"))
    np.save(tmp_path / "single.npy", cloud.coords)
    with pytest.raises(InputError, match="found: a single array"):
        PointCloud.load(str(tmp_path / "single.npy"))


def test_means_of_neighbors_keep_their_precision() -> None:
    cloud = make_cloud(5)
    cloud.channels = {"exact": np.array([1.0, 2.0, 3.0, 4.0, 5.0]) / 3, "count": np.arange(5)}
    whole = cloud.subsample([1], average_neighbors=True)
    assert whole.channels["exact"].tolist() == [1.0]
    assert whole.channels["count"].tolist() == [2.0]
    assert whole.channels["exact"].dtype == whole.channels["count"].dtype == np.float64


def test_a_ply_file_is_as_lenient_as_the_release_s() -> None:
    def written(*arrays: Any) -> bytes:
        file = io.BytesIO()
        write_ply(file, *arrays)
        return file.getvalue()

    assert b"element vertex 0\n" in written(np.zeros((0, 3)))
    assert written(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3))).endswith(b"vertex_index\nend_header\n")
    nan = written(np.array([[np.nan, np.inf, -1.0]]))
    np.testing.assert_array_equal(np.frombuffer(nan[-12:], "<f4"), np.array([np.nan, np.inf, -1], np.float32))
    assert written(np.zeros((1, 3)), np.array([[-0.001, 0.0, 1.000001]]))[-3:] == bytes([0, 0, 255])
    mesh = written([[0, 0, 0]] * 3, None, [[0, 1, 2]])
    assert mesh.partition(b"end_header\n")[0].endswith(b"element face 1\nproperty list uchar int vertex_index\n")
    assert mesh[-13:] == bytes([3]) + np.array([0, 1, 2], "<u4").tobytes()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 2)),), "coords: expected shape"),
        (([[0.0, 1.0, 2.0], [3.0]],), "coords: expected shape"),
        ((np.full((1, 3), 1e300),), "coords: expected numbers that float32"),
        ((np.zeros((2, 3)), np.zeros((1, 3))), "rgb: expected 2 rows"),
        ((np.zeros((1, 3)), np.full((1, 3), -0.01)), "rgb: expected values"),
        ((np.zeros((1, 3)), np.full((1, 3), np.nan)), "rgb: expected values"),
        ((np.zeros((1, 3)), None, np.array([[0, -1, 2]])), "faces: expected whole numbers"),
        ((np.zeros((1, 3)), None, np.array([[0.0, 1.0, 2.0]])), "faces: expected whole numbers"),
    ],
)
def test_what_a_ply_file_cannot_hold(arrays: tuple[Any, ...], message: str) -> None:
    file = io.BytesIO()
    with pytest.raises(InputError, match=message):
        write_ply(file, *arrays)
    assert file.getvalue() == b""


def test_ply_files_buffered_or_not(tmp_path: Path) -> None:
    cloud, path, memory = make_cloud(), tmp_path / "cloud.ply", io.BytesIO()
    with path.open("wb", buffering=0) as raw:
        cloud.write_ply(raw)
        assert not raw.closed
    cloud.write_ply(memory)
    assert path.read_bytes() == memory.getvalue()
    few = io.BytesIO()
    write_ply(few, np.zeros((1, 3)), np.array([[0.0, 0.5, 0.749]]))
    assert few.getvalue()[-3:] == bytes([0, 128, 191])
    write_ply(few, np.zeros((1, 3)), np.array([[0.1, 0.998, 0.9]]))
    # 0.998 becomes 255 as the release multiplies by 255.499; by 255 it would be 254.
    assert few.getvalue()[-3:] == bytes([26, 255, 230])
    with pytest.raises(InputError, match="rgb: expected values"):
        write_ply(io.BytesIO(), np.zeros((1, 3)), np.full((1, 3), 2.0))
    with pytest.raises(InputError, match="faces: expected shape"):
        write_ply(io.BytesIO(), np.zeros((4, 3)), None, np.zeros((1, 4), int))


def test_samples_come_from_the_release_s_generators() -> None:
    cloud = make_cloud()
    np.random.seed(3)  # noqa: NPY002 - what a script of the release does
    chosen = np.random.choice(40, size=(7,), replace=False)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    assert cloud.random_sample(7).channels["label"].tolist() == chosen.tolist()
    random.seed(4)
    start = random.randrange(40)
    random.seed(4)
    farthest = cloud.farthest_point_sample(5).channels["label"]
    assert farthest[0] == start
    assert farthest.tolist() == cloud.farthest_point_sample(5, init_idx=start).channels["label"].tolist()
    assert cloud.random_sample(40) is cloud
    assert cloud.farthest_point_sample(41) is cloud


def test_channels_and_combining() -> None:
    cloud = make_cloud(3)
    cloud.channels["R"] = np.array([0.0, 0.5, 1.0])
    assert cloud.select_channels(["R", "label"]).tolist() == [[0, 0], [128, 1], [255, 2]]
    both = cloud.combine(make_cloud(2, seed=1))
    assert len(both.coords) == len(both.channels["G"]) == 5
    with pytest.raises(InputError, match="channels: expected"):
        cloud.combine(PointCloud(np.zeros((1, 3)), {}))


def test_figure() -> None:
    cloud = make_cloud()
    figure = plot_point_cloud(cloud, grid_size=2)
    assert len(figure.axes) == 4
    assert all(axes.get_xlim() == pytest.approx((-0.75, 0.75), abs=0.05) for axes in figure.axes)
    shown = [np.stack(axes.collections[0]._offsets3d, axis=1) for axes in figure.axes]  # type: ignore[attr-defined]
    np.testing.assert_allclose(shown[0], cloud.coords)
    quarter = cloud.coords @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(shown[1], quarter, atol=1e-6)
    plain = plot_point_cloud(PointCloud(cloud.coords, {}), color=False, fixed_bounds=None)
    (axes,) = plain.axes
    low, high = np.array([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()]).T  # type: ignore[attr-defined]
    assert (low <= cloud.coords.min(axis=0)).all()
    assert (high >= cloud.coords.max(axis=0)).all()
    mpl.pyplot.close("all")


def test_plotting_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "point_e.util.plotting")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'enpointe\[point-e\]'"):
        importlib.import_module("point_e.util.plotting")
