"""P-FID of what was observed is that of the clouds' features."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.evaluation.measures.classifier_scores import p_fid
from enpointe.evaluation.measures.features import embed
from enpointe.evaluation.metric import NotMeasured, Tools
from enpointe.evaluation.metrics.p_fid import PFID
from enpointe.evaluation.samples.sample import Sample
from enpointe.evaluation.settings import Settings
from enpointe.geometry.point_cloud import PointCloud
from evaluation.fakes import tiny_classifier
from evaluation.metrics.scoring import Scored


def clouds(n: int, points: int = 40, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [
        Sample(str(i), PointCloud(rng.random((points, 3), np.float32), np.zeros((points, 3), np.float32)))
        for i in range(n)
    ]


@pytest.fixture
def tools() -> Tools:
    return Tools(Settings(seed=3), classifier=tiny_classifier("a", "b"))


def test_it_is_that_of_the_features(tools: Tools) -> None:
    ours, theirs = clouds(70), clouds(12, seed=1)  # more than one batch, and of another number
    found = Scored(PFID, ours, theirs, tools)
    assert tools.classifier is not None
    sides = [
        embed(tools.classifier.network, np.stack([sample.cloud.points for sample in side])).features
        for side in (ours, theirs)
    ]
    expected = p_fid(*sides, seed=3)
    (score,) = found.scores
    assert score.value == pytest.approx(expected.value, rel=1e-4)
    assert expected.interval is not None
    assert (score.low, score.high) == pytest.approx((expected.interval.low, expected.interval.high), rel=1e-3)
    assert "12 reference clouds" in score.what


def test_other_numbers_of_points_are_noted(tools: Tools) -> None:
    (score,) = Scored(PFID, clouds(9), [*clouds(8), *clouds(1, points=30)], tools).scores
    assert "samples have 40 points, the reference 30 to 40" in (score.note or "")


def test_two_of_each_are_needed(tools: Tools) -> None:
    with pytest.raises(NotMeasured, match="at least 2 clouds of each are needed, found 1 and 3"):
        Scored(PFID, clouds(1), clouds(3), tools)
