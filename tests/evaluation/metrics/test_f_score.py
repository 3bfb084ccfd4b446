"""F-score and distance to the nearest reference of the same prompt."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.evaluation.metric import NotMeasured
from enpointe.evaluation.metrics.f_score import FScore
from enpointe.evaluation.references import PER_PROMPT
from enpointe.evaluation.samples.sample import Sample
from enpointe.geometry.point_cloud import PointCloud
from evaluation.metrics.scoring import Scored


def sample(seed: int, prompt: str | None = "a car", scale: float = 1, shift: float = 0) -> Sample:
    points = np.random.default_rng(seed).random((60, 3), np.float32) * scale + shift
    return Sample(str(seed), PointCloud(points.astype(np.float32), np.zeros((60, 3), np.float32)), prompt)


def test_the_nearest_reference_counts_wherever_it_stands() -> None:
    found = Scored(FScore, [sample(1), sample(2), sample(3, "a dog")], [sample(5), sample(1, scale=9, shift=4)])
    share, distance = found.scores
    first, second, third = found.run.rows
    assert (first["f_score"], first["chamfer"]) == (1, pytest.approx(0, abs=1e-5))
    assert second["f_score"] < 1
    assert "f_score" not in third
    assert share.value == pytest.approx((1 + second["f_score"]) / 2)
    assert distance.value == pytest.approx((first["chamfer"] + second["chamfer"]) / 2)
    assert "of 2 samples" in (share.note or "")


def test_only_the_first_references_of_a_prompt_are_kept() -> None:
    many = [sample(10 + i) for i in range(PER_PROMPT)]
    found = Scored(FScore, [sample(1)], [*many, sample(1)])
    assert found.run.rows[0]["f_score"] < 1


def test_why_there_is_none() -> None:
    with pytest.raises(NotMeasured, match="no sample has a reference cloud of the same prompt"):
        Scored(FScore, [sample(1), sample(2, None)], [sample(1, "a dog"), sample(2, None)])
