"""Distances of sets: which clouds are drawn, and what identical and separate sets have."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.evaluation.metric import NotMeasured
from enpointe.evaluation.metrics._sets import Reservoir
from enpointe.evaluation.metrics.chamfer import Chamfer
from enpointe.evaluation.metrics.emd import EMD
from enpointe.evaluation.observation import Observation
from enpointe.evaluation.samples.sample import Sample
from enpointe.geometry.point_cloud import PointCloud
from evaluation.metrics.scoring import Scored


def samples(n: int, points: int = 50, flat: float = 1.0, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [
        Sample(
            str(i),
            PointCloud(rng.random((points, 3), np.float32) * (1, 1, flat), np.zeros((points, 3), np.float32)),
        )
        for i in range(n)
    ]


@pytest.mark.parametrize("metric", [Chamfer, EMD])
def test_a_set_against_itself(metric: type[Chamfer] | type[EMD]) -> None:
    found = {score.name: score.value for score in Scored(metric, samples(5), samples(5)).scores}
    name = "chamfer" if metric is Chamfer else "emd"
    assert found[f"{name}_mmd"] == pytest.approx(0, abs=1e-9)
    assert found[f"{name}_coverage"] == 1
    assert found[f"{name}_one_nna"] < 0.5  # each one's nearest is its copy


@pytest.mark.parametrize("metric", [Chamfer, EMD])
def test_sets_apart(metric: type[Chamfer] | type[EMD]) -> None:
    scores = Scored(metric, samples(5), samples(7, flat=0.01, seed=1)).scores
    assert scores[2].value == 1
    assert "of 5 samples and 5 reference clouds" in (scores[0].note or "")


def test_why_there_is_none() -> None:
    with pytest.raises(NotMeasured, match="at least 2 clouds of each are needed, found 1 and 3"):
        Scored(Chamfer, samples(1), samples(3))
    with pytest.raises(NotMeasured, match="clouds of equally many points"):
        Scored(EMD, samples(3), samples(3, points=40))
    assert Scored(Chamfer, samples(3), samples(3, points=40)).scores[0].value > 0


@pytest.mark.slow
def test_clouds_are_drawn_with_equal_chances() -> None:
    given = samples(200, points=4)

    def drawn(seed: int) -> list[int]:
        reservoir = Reservoir(seed)
        thin = []
        for i, sample in enumerate(given):
            observation = Observation(i, sample, seed, [])
            thin.append(observation.thin)
            reservoir.offer(observation)
        return [next(i for i, cloud in enumerate(thin) if cloud is held) for held in reservoir.clouds()]

    found = drawn(3)
    assert len(found) == 64
    assert found == sorted(found)
    assert 60 < np.mean(found) < 140
    assert drawn(3) == found
    counts = np.bincount(np.concatenate([drawn(seed) for seed in range(60)]), minlength=200)
    assert counts.mean() == pytest.approx(60 * 64 / 200)
    assert counts[:64].mean() == pytest.approx(counts[64:].mean(), rel=0.15)
