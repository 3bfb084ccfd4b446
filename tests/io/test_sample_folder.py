"""The folder of a generated sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.formats import read_provenance
from enpointe.io.sample_folder import NAMES, SampleFolder, replacing_samples

CLOUD = PointCloud(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), {"size": np.ones(3, np.float32)})
MESH = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]), np.eye(3, dtype=np.float32))
META = {"enpointe": "1", "prompt": "ein Bär", "seed": 3}


def test_all_files_of_a_sample_come_back(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path / "new" / "0")
    assert (folder.is_complete, folder.meta(), folder.files()) == (False, {}, [])
    folder.write(CLOUD, MESH, META, views=np.zeros((4, 4, 3), np.uint8), page="<p>ä</p>")
    assert {path.name for path in folder.path.iterdir()} == {path.name for path in folder.files()} == set(NAMES)
    assert folder.is_complete
    assert folder.meta() == META
    assert np.array_equal(folder.cloud().channels["size"], CLOUD.channels["size"])
    mesh = folder.mesh()
    assert mesh is not None
    assert np.array_equal(mesh.faces, MESH.faces)
    assert (folder.path / "view.html").read_text(encoding="utf-8") == "<p>ä</p>"
    for name in ("cloud.ply", "cloud.npz", "mesh.glb"):
        assert read_provenance(folder.path / name) == META
    assert (
        (folder.path / "meta.json")
        .read_text(encoding="utf-8")
        .startswith('{\n  "enpointe": "1",\n  "prompt": "ein Bär"')
    )


def test_what_people_look_at_may_be_left_out(tmp_path: Path) -> None:
    SampleFolder(tmp_path).write(CLOUD, None, META)
    assert {path.name for path in tmp_path.iterdir()} == {"cloud.npz", "meta.json"}
    assert SampleFolder(tmp_path).mesh() is None


@pytest.mark.parametrize("text", ["", "[1]", '{"enpoint": 1}', "{" * 9999, '{"enpointe": "' + "x" * (1 << 20) + '"}'])
def test_a_meta_json_of_others_is_none_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    (tmp_path / "cloud.ply").write_text("mine")
    assert SampleFolder(tmp_path).meta() == {}
    assert SampleFolder(tmp_path).files() == []


def fill(folder: Path, *names: str) -> None:
    for name in (*names, "meta.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps({"enpointe": "0", "name": name}))


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_former_result_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    fill(tmp_path, "mesh.glb", "cloud.ply", "0/cloud.ply", "0/meta.json", "1/cloud.ply", "1/notes.txt", "1/meta.json")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "cloud.ply").write_text("a user's: no meta.json of ours beside it")
    (tmp_path / "notes.txt").write_text("a user's")
    with replacing_samples(tmp_path) as staging:
        (staging / "cloud.ply").write_text("new")
        (staging / "meta.json").write_text("new")
    assert tree(tmp_path) == {"cloud.ply", "meta.json", "notes.txt", "1", "1/notes.txt", "2", "2/cloud.ply"}
    assert (tmp_path / "cloud.ply").read_text() == "new"


def test_numbered_results_replace_a_single_one(tmp_path: Path) -> None:
    fill(tmp_path, "cloud.ply")
    with replacing_samples(tmp_path) as staging:
        fill(staging, "0/cloud.ply", "1/cloud.ply")
        (staging / "meta.json").unlink()
    assert tree(tmp_path) == {"0", "0/cloud.ply", "1", "1/cloud.ply"}
