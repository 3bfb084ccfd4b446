"""Normal consistency of samples' meshes with references of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import trimesh

from enpointe.evaluation.metric import NotMeasured
from enpointe.evaluation.metrics.normal_consistency import NormalConsistency
from enpointe.evaluation.samples.folder import cloud_of
from enpointe.evaluation.samples.sample import Sample
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from evaluation.metrics.scoring import Scored


def of(shape: Any) -> Mesh:
    return Mesh(shape.vertices, shape.faces, np.full((len(shape.vertices), 3), 0.5, np.float32))


def box(*extents: float, at: float = 0) -> Mesh:
    return of(trimesh.creation.box(extents).apply_translation([at] * 3))


def ball() -> Mesh:
    return of(trimesh.creation.icosphere(subdivisions=3))


def sample(name: str, mesh: Mesh, prompt: str | None = "a thing", *, keep: bool = True) -> Sample:
    return Sample(name, cloud_of(mesh, 256), prompt, mesh=mesh if keep else None)


def scored(ours: Sequence[Sample], reference: Sequence[Sample]) -> Scored:
    return Scored(NormalConsistency, ours, reference)


def test_the_nearest_of_the_references_counts_wherever_it_stands_and_however_large() -> None:
    ours = [sample("box", box(10, 10, 10, at=50)), sample("other", box(1, 1, 1), "another thing")]
    found = scored(ours, [sample("a", ball()), sample("b", box(1, 1, 1)), sample("c", ball(), "else")])
    assert found.run.rows[0]["normal_consistency"] > 0.95
    assert "normal_consistency" not in found.run.rows[1]
    (score,) = found.scores
    assert score.value == found.run.rows[0]["normal_consistency"]
    only_balls = scored(ours, [sample("a", ball())])
    # A sphere's normals and a cube's at the directions of a sphere's: the mean of the largest |coordinate|.
    directions = np.random.default_rng(0).normal(size=(100_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert only_balls.scores[0].value == pytest.approx(np.abs(directions).max(axis=1).mean(), abs=0.05)


def test_the_ceiling_is_of_references_against_the_others_of_their_prompt() -> None:
    ours = [sample("box", box(1, 1, 1))]
    alike = scored(ours, [sample("a", box(1, 1, 1)), sample("b", box(2, 2, 2))])
    assert alike.run.ceiling[0].value > 0.95
    assert f"{alike.run.ceiling[0].value:.3f} among one another" in (alike.scores[0].note or "")
    unlike = scored(ours, [sample("a", box(1, 1, 1)), sample("b", ball())])
    assert unlike.run.ceiling[0].value < 0.9 < unlike.scores[0].value
    alone = scored(ours, [sample("a", box(1, 1, 1))])
    assert alone.run.ceiling == []


@pytest.mark.parametrize(
    ("ours", "reference", "reason"),
    [
        (sample("a", ball(), None), sample("b", ball()), "no mesh's prompt is known"),
        (sample("a", ball()), sample("b", ball(), keep=False), "no reference cloud of a known prompt has a mesh"),
        (sample("a", ball()), sample("b", ball(), "else"), "no mesh has a reference surface of the same prompt"),
    ],
)
def test_why_there_is_none(ours: Sample, reference: Sample, reason: str) -> None:
    with pytest.raises(NotMeasured, match=reason):
        scored([ours], [reference])


def test_a_mesh_without_area_is_named() -> None:
    line = Mesh(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32), np.array([[0, 1, 2]]))
    cloud = PointCloud(line.vertices, np.zeros((3, 3), np.float32))
    found = scored([Sample("line", cloud, "a thing", mesh=line), sample("ball", ball())], [sample("b", ball())])
    assert ["normal_consistency" in row for row in found.run.rows] == [False, True]
    assert [(one.name, "its mesh" in one.reason) for one in found.failures] == [("line", True)]
