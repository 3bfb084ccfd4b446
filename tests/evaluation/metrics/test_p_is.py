"""P-IS of what was observed is that of the clouds' probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.evaluation.measures.classifier_scores import p_is
from enpointe.evaluation.metric import Tools, given
from enpointe.evaluation.metrics.p_is import PIS
from enpointe.evaluation.samples.sample import Sample
from enpointe.evaluation.settings import Settings
from enpointe.geometry.point_cloud import PointCloud
from evaluation.fakes import tiny_classifier
from evaluation.metrics.scoring import Scored


def test_it_is_that_of_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    samples = [
        Sample(str(i), PointCloud(rng.random((30, 3), np.float32), np.zeros((30, 3), np.float32))) for i in range(9)
    ]
    found = Scored(PIS, samples, tools=Tools(Settings(seed=2), classifier=tiny_classifier("a", "b", "c")))
    expected = p_is(given(found.run.samples.features).probabilities, seed=2)
    (score,) = found.scores
    assert score.value == pytest.approx(expected.value)
    assert score.low is not None
    assert score.low <= score.value
    assert f"of which {expected.classes_seen} are" in score.what
