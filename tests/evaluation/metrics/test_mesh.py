"""Soundness of meshes, without a reference."""

from __future__ import annotations

import numpy as np
import trimesh

from enpointe.evaluation.metric import Badge
from enpointe.evaluation.metrics.mesh import MeshSoundness
from enpointe.evaluation.samples.sample import Sample
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from evaluation.metrics.scoring import Scored


def sample(mesh: Mesh | None) -> Sample:
    return Sample("x", PointCloud(np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)), mesh=mesh)


def test_a_box_one_without_a_lid_and_two() -> None:
    box = trimesh.creation.box()
    faces = np.concatenate([box.faces, box.faces + len(box.vertices)])
    two = Mesh(np.concatenate([box.vertices, box.vertices + 3]), faces)
    open_box = Mesh(box.vertices, box.faces[:-2])
    found = Scored(
        MeshSoundness,
        [sample(Mesh(box.vertices, box.faces)), sample(None), sample(open_box), sample(two)],
    )
    rows = found.run.rows
    assert [row.get("watertight") for row in rows] == [True, None, False, True]
    assert [row.get("components") for row in rows] == [1, None, 1, 2]
    assert {score.name: score.value for score in found.scores} == {
        "watertight": 2 / 3, "components": 4 / 3, "self_intersection": 0,
    }  # fmt: skip
    assert found.scores[0].note == "of 3 meshes"
    assert [MeshSoundness.badges(row) for row in rows] == [
        [], [], [Badge("has holes", "bad")], [Badge("2 pieces", "bad")],
    ]  # fmt: skip
