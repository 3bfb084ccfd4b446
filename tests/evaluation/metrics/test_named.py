"""Classifier accuracy: over samples whose noun the classifier knows, by its likeliest class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enpointe.evaluation.measures.features import CloudFeatures
from enpointe.evaluation.metric import Badge, NotMeasured, Run, Tools
from enpointe.evaluation.metrics.named import Named
from enpointe.evaluation.observation import Observed
from enpointe.evaluation.score import Score
from enpointe.evaluation.settings import Settings
from evaluation.fakes import tiny_classifier

TOOLS = Tools(Settings(), classifier=tiny_classifier("car", "mug", "dog"))


def score(rows: list[dict[str, object]], probabilities: list[list[float]], tools: Tools = TOOLS) -> list[Score]:
    features = CloudFeatures(np.zeros((len(rows), 2), np.float32), np.array(probabilities, np.float32))
    return Named(tools).score(Run(Observed(features=features), None, rows=rows))


def test_the_share_that_is_classified_right() -> None:
    rows: list[dict[str, object]] = [{"noun": "car"}, {"noun": "mug"}, {"noun": "tree"}, {}]
    (found,) = score(rows, [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    assert found.value == 0.5
    assert "of 2 samples" in found.what
    assert [row.get("named") for row in rows] == [True, False, None, None]
    assert [row["class"] for row in rows] == ["car", "car", "mug", "dog"]
    assert rows[1]["noun_probability"] == pytest.approx(0.3)
    assert [Named.badges(row) for row in rows[:3]] == [
        [Badge("classified as: car", "good")], [Badge("classified as: car", "bad")], [Badge("classified as: mug")],
    ]  # fmt: skip
    assert Named.badges({}) == []


def test_why_there_is_none() -> None:
    with pytest.raises(NotMeasured, match="one of the 3 classes of pocket-classifier"):
        score([{"noun": "tree"}], [[1, 0, 0]])
    assert TOOLS.classifier is not None
    nameless = replace(TOOLS, classifier=replace(TOOLS.classifier, classes=None))
    with pytest.raises(NotMeasured, match="have no names"):
        score([{"noun": "car"}], [[1, 0, 0]], nameless)
