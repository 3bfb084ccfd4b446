"""One pass over a set, in bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, no_progress
from enpointe.evaluation.observation import Observation
from enpointe.evaluation.runner.observe import observe
from enpointe.evaluation.samples.memory import MemorySamples
from enpointe.evaluation.samples.open import open_samples
from enpointe.evaluation.samples.sample import Sample
from enpointe.evaluation.settings import Settings
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


def sample(name: str, n: int) -> Sample:
    mesh = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]])) if n > 5 else None
    points = np.random.default_rng(n).random((n, 3), np.float32)
    return Sample(name, PointCloud(points, points), f"prompt {n}", n, mesh, {"cloud": 0.5})


def test_everything_is_seen_once_and_in_order() -> None:
    seen: list[str] = []
    told: list[Progress] = []

    def first(one: Observation) -> None:
        seen.append(f"first {one.sample.name}")
        assert one.thin is one.thin

    def second(one: Observation) -> None:
        seen.append(f"second {one.sample.name}")
        if one.index == 1:
            one.fail("no such thing")

    samples = MemorySamples([sample("a", 4), sample("b", 9)])
    found = observe("samples", samples, [first, second], Settings(), None, told.append)
    assert seen == ["first a", "second a", "first b", "second b"]
    assert told == [Progress("samples", 1, 2), Progress("samples", 2, 2)]
    assert (found.names, found.prompts, found.seeds) == (["a", "b"], ["prompt 4", "prompt 9"], [4, 9])
    assert (found.points, found.meshes, found.features, len(found)) == ((4, 9), 1, None, 2)
    assert [(one.name, one.reason) for one in samples.failures] == [("b", "no such thing")]


def test_a_set_without_a_readable_cloud_is_an_error() -> None:
    spot = Sample("spot", PointCloud(np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)))
    with pytest.raises(InputError, match=r"memory: expected clouds, found none that can be read \(spot: "):
        observe("samples", MemorySamples([spot]), [], Settings(), None, no_progress)


@pytest.mark.slow
def test_many_clouds_take_the_memory_of_a_few(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    clouds = np.random.default_rng(0).random((1200, 1024, 3), np.float32)
    np.savez(path, clouds)
    size = clouds.nbytes
    del clouds
    samples = open_samples(str(path))
    tracemalloc.start()
    try:
        found = observe("samples", samples, [], Settings(), None, no_progress)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == 1200
    assert found.points == (1024, 1024)
    assert peak < size / 4
