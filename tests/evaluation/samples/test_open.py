"""Sets of clouds to be scored: folders, NPZ files, shards, pools; what is broken is named and left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.data.pools import pool
from enpointe.evaluation.samples.open import open_samples
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


def cloud(seed: int = 0, n: int = 50) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(rng.random((n, 3), np.float32), rng.random((n, 3), np.float32))


def triangle() -> Mesh:
    return Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]), np.eye(3, dtype=np.float32))


def names(samples: SampleSet) -> list[str]:
    return [sample.name for sample in samples]


def test_a_folder_with_broken_clouds(tmp_path: Path) -> None:
    cloud().save(tmp_path / "good.ply")
    cloud(1).save(tmp_path / "good.npz")
    (tmp_path / "broken.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 9\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    PointCloud(np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)).save(tmp_path / "spot.npz")
    np.savez(tmp_path / "nan.npz", coords=np.full((3, 3), np.nan))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.ply").write_bytes(b"")
    samples = open_samples(str(tmp_path))
    assert names(samples) == ["good"]  # one name, one sample
    assert [failure.name for failure in samples.failures] == ["broken", "empty", "nan", "spot"]
    assert len(samples) == 5
    reasons = {failure.name: failure.reason for failure in samples.failures}
    assert "extent above zero" in reasons["spot"]
    assert str(tmp_path) not in "".join(reasons.values())
    assert samples.notes == [f"{tmp_path.name}: 1 files of other kinds are not read"]
    assert names(samples) == ["good"]
    assert len(samples.failures) == 4  # those of the latest iteration


def test_a_folder_as_generate_makes_it(tmp_path: Path) -> None:
    home = tmp_path / "0"
    home.mkdir()
    for name in ("cloud.ply", "cloud.npz"):
        cloud().save(home / name)
    triangle().save(home / "mesh.glb")
    meta = {"enpointe": "1", "prompt": "a red car", "seed": 7, "seconds": {"cloud": 1.5, "odd": "x"}}
    (home / "meta.json").write_text(json.dumps(meta))
    (found,) = open_samples(str(tmp_path))
    assert (found.name, found.prompt, found.seed, found.seconds) == ("0", "a red car", 7, {"cloud": 1.5})
    assert found.mesh is not None
    (home / "mesh.glb").write_bytes(b"glTF")
    samples = open_samples(str(tmp_path))
    (found,) = samples
    assert found.mesh is None
    assert "its mesh" in samples.failures[0].reason


def test_prompts_from_a_table_and_from_the_files(tmp_path: Path) -> None:
    cloud().save(tmp_path / "a.ply")
    cloud().save(tmp_path / "b.ply", provenance={"prompt": "a dog", "seed": 2})
    (tmp_path / "captions.csv").write_text("id,caption\na,a blue mug\nb,a cat\n")
    assert [(s.name, s.prompt, s.seed) for s in open_samples(str(tmp_path))] == [
        ("a", "a blue mug", None), ("b", "a dog", 2),
    ]  # fmt: skip


def test_a_mesh_alone_is_sampled(tmp_path: Path) -> None:
    triangle().save(tmp_path / "thing.obj")
    (found,) = open_samples(str(tmp_path))
    assert len(found.cloud) == 4096
    assert found.mesh is not None
    np.testing.assert_allclose(found.cloud.points.sum(axis=1), 1, atol=1e-5)


def textured_box() -> bytes:
    """A GLB whose red is a texture of one color, as trimesh writes it."""
    box = trimesh.creation.box()
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), (255, 0, 0)))
    box.visual = trimesh.visual.TextureVisuals(uv=np.random.default_rng(0).random((8, 2)), material=material)
    return bytes(trimesh.Scene(box).export(file_type="glb"))


def test_materials_color_the_points_of_a_mesh(tmp_path: Path) -> None:
    (tmp_path / "red.glb").write_bytes(textured_box())
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 1 0 0\nnewmtl b\nKd 0 0 1\n")
    (tmp_path / "two.obj").write_text(
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl a\nf 1 2 3\nusemtl b\nf 1 3 4\n"
    )
    red, two = open_samples(str(tmp_path))
    np.testing.assert_allclose(red.cloud.colors, np.tile((1, 0, 0), (4096, 1)), atol=1e-6)
    x, z = two.cloud.points[:, 0], two.cloud.points[:, 2]  # turned: z up
    np.testing.assert_allclose(two.cloud.colors[x > z], np.tile((1, 0, 0), ((x > z).sum(), 1)), atol=1e-6)
    np.testing.assert_allclose(two.cloud.colors[x < z], np.tile((0, 0, 1), ((x < z).sum(), 1)), atol=1e-6)


def test_points_that_are_gray_for_want_of_colors_are_warned_of_once(tmp_path: Path) -> None:
    for name in "abc":
        Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]])).save(tmp_path / f"{name}.ply")
    np.savez(tmp_path / "d.npz", coords=np.eye(3))
    cloud().save(tmp_path / "e.npz")
    with pytest.warns(LostDataWarning) as warned:
        assert len(list(open_samples(str(tmp_path)))) == 5
    assert [str(warning.message).partition(": ")[2] for warning in warned] == [
        "4 of 5 samples have no colors, or lost some, and are gray there"
    ]


def test_arr_0_with_a_broken_cloud(tmp_path: Path) -> None:
    clouds = np.random.default_rng(0).random((5, 20, 3), np.float32)
    clouds[2, 3, 0] = np.nan
    clouds[4] = 1
    path = tmp_path / "samples.npz"
    np.savez(path, clouds)
    samples = open_samples(str(path))
    assert len(samples) == 5
    assert names(samples) == ["arr_0[0]", "arr_0[1]", "arr_0[3]"]
    assert [failure.name for failure in samples.failures] == ["arr_0[2]", "arr_0[4]"]
    assert names(open_samples(str(path), limit=1)) == ["arr_0[0]"]
    assert names(open_samples(f"{path}[:2]")) == ["arr_0[0]", "arr_0[1]"]
    assert [sample.name for sample in samples.pick({"arr_0[3]", "arr_0[2]"})] == ["arr_0[3]"]
    assert len(samples.failures) == 2  # a second look adds none


@pytest.mark.parametrize("what", ["nothing", "empty", "text", "single"])
def test_places_that_are_no_set(tmp_path: Path, what: str) -> None:
    place = tmp_path / {"nothing": "none", "empty": ".", "text": "a.txt", "single": "one.npz"}[what]
    if what == "text":
        place.write_text("x")
    if what == "single":
        cloud().save(place)
    with pytest.raises(InputError, match="expected"):
        open_samples(str(place))


def test_a_pool(tmp_path: Path) -> None:
    path = tmp_path / "pool.safetensors"
    pool.build(path, n_clouds=3, n_points=64, n_queries=8, workers=1)
    samples = open_samples(str(path))
    assert len(samples) == 3
    found = list(samples)
    assert all(sample.prompt and len(sample.cloud) == 64 for sample in found)
    again = list(open_samples(str(path)))
    np.testing.assert_array_equal(found[1].cloud.colors, again[1].cloud.colors)
