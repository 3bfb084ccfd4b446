"""Normal consistency of samples' meshes with true objects of the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import trimesh

from enpointe.evaluation.runner.gather import Gathered, Wanted, gather, oriented
from enpointe.evaluation.runner.measure import Measured, measure
from enpointe.evaluation.samples.readers import cloud_of
from enpointe.evaluation.samples.sample import Sample, SampleSet
from enpointe.evaluation.samples.true_objects import TrueObjects
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


class Held(SampleSet):
    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__("held", "test", None)
        self._held = samples

    def _size(self) -> int:
        return len(self._held)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        return iter(self._held)


def of(shape: Any) -> Mesh:
    return Mesh(shape.vertices, shape.faces)


def box(*extents: float, at: float = 0) -> Mesh:
    return of(trimesh.creation.box(extents).apply_translation([at] * 3))


def ball() -> Mesh:
    return of(trimesh.creation.icosphere(subdivisions=3))


def sample(name: str, mesh: Mesh, prompt: str | None = "a thing", *, keep: bool = True) -> Sample:
    return Sample(name, cloud_of(mesh, 256), prompt, mesh=mesh if keep else None)


def collected(*samples: Sample, twins: bool = False) -> Gathered:
    return gather(Held(samples), Wanted(surfaces=True), twins=twins)


def measured(samples: Gathered, reference: Gathered | None) -> Measured:
    return measure(samples, reference, None, ["normal_consistency"])


def test_the_nearest_of_the_true_objects_counts_wherever_it_stands_and_however_large() -> None:
    ours = collected(sample("box", box(10, 10, 10, at=50)), sample("other", box(1, 1, 1), "another thing"))
    true = collected(sample("a", ball()), sample("b", box(1, 1, 1)), sample("c", ball(), "else"), twins=True)
    found = measured(ours, true)
    assert found.rows[0]["normal_consistency"] > 0.95
    assert "normal_consistency" not in found.rows[1]
    (score,) = found.scores
    assert score.value == found.rows[0]["normal_consistency"]
    only_balls = measured(ours, collected(sample("a", ball()), twins=True))
    # A sphere's normals and a cube's at the directions of a sphere's: the mean of the largest |coordinate|.
    directions = np.random.default_rng(0).normal(size=(100_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert only_balls.scores[0].value == pytest.approx(np.abs(directions).max(axis=1).mean(), abs=0.05)


def test_the_ceiling_is_of_true_objects_against_the_others_of_their_prompt() -> None:
    ours = collected(sample("box", box(1, 1, 1)))
    alike = measured(ours, collected(sample("a", box(1, 1, 1)), sample("b", box(2, 2, 2)), twins=True))
    assert alike.ceiling[0].value > 0.95
    assert f"{alike.ceiling[0].value:.3f} among one another" in (alike.scores[0].note or "")
    unlike = measured(ours, collected(sample("a", box(1, 1, 1)), sample("b", ball()), twins=True))
    assert unlike.ceiling[0].value < 0.9 < unlike.scores[0].value
    alone = measured(ours, collected(sample("a", box(1, 1, 1)), twins=True))
    assert alone.ceiling == []


def test_why_there_is_none() -> None:
    ours, true = collected(sample("a", ball())), collected(sample("b", ball()), twins=True)

    def why(samples: Gathered, reference: Gathered | None) -> str:
        found = measured(samples, reference)
        assert not found.scores
        return found.missing["normal_consistency"]

    assert why(ours, None) == "no reference"
    assert why(collected(sample("a", ball(), keep=False)), true) == "no meshes"
    assert why(collected(sample("a", ball(), None)), true) == "no mesh's prompt is known"
    bare = collected(sample("b", ball(), keep=False), twins=True)
    assert why(ours, bare) == "no true cloud of a known prompt has a mesh or normals"
    assert (
        why(ours, collected(sample("b", ball(), "else"), twins=True)) == "no mesh has a true surface of the same prompt"
    )


def test_a_mesh_without_area_is_named() -> None:
    line = Mesh(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32), np.array([[0, 1, 2]]))
    cloud = PointCloud(line.vertices, np.zeros((3, 3), np.float32))
    samples = Held([Sample("line", cloud, "a thing", mesh=line), sample("ball", ball())])
    found = gather(samples, Wanted(surfaces=True))
    assert list(found.surfaces) == [1]
    assert [(one.name, "its mesh" in one.reason) for one in samples.failures] == [("line", True)]


def test_a_fresh_object_knows_its_normals() -> None:
    """The normals are the surface's: points lifted along them by a little leave the solid of a mug's body."""
    (mug,) = TrueObjects(["a green mug"], 1, n_points=4096, seed=2)
    assert mug.normals is not None
    assert np.linalg.norm(mug.normals, axis=1) == pytest.approx(1, abs=1e-5)
    # A closed surface's normals weighted by its area, of which the points are an even sample, sum to zero.
    assert np.abs(mug.normals.mean(axis=0)).max() < 0.05
    # The lowest points are of the floor that it stands on, the outermost ones of its wall.
    lowest = mug.cloud.points[:, 2] < mug.cloud.points[:, 2].min() + 1e-4
    assert (mug.normals[lowest, 2] < -0.9).mean() > 0.9
    surface = oriented(mug, [0])
    assert surface is not None
    assert len(surface.points) == 2048
    place = np.abs(surface.points[0] - mug.cloud.points).sum(axis=1).argmin()
    np.testing.assert_array_equal(surface.normals[0], mug.normals[place])
