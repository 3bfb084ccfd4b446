"""P-FID and P-IS with their intervals: closed forms, coverage, few samples, errors that name what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.classifier_scores import p_fid, p_is
from enpointe.evaluation.measures.frechet import FeatureStatistics
from enpointe.evaluation.measures.inception import inception_score


def test_known_gaussians() -> None:
    """N(0, 1) and N(2, 9) along one axis, equal along the other: 2^2 + (3 - 1)^2 = 8."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4000, 2)), rng.normal(size=(4000, 2)) * (3, 1) + (2, 0)
    found = p_fid(a, b, resamples=50)
    assert found.interval is not None
    assert found.interval.low < 8 < found.interval.high
    assert found.interval.low < found.value < found.interval.high
    assert found.interval.high - found.interval.low < 1.5
    assert (found.samples, found.reference, found.needed, found.note) == (4000, 4000, 3, None)


def test_interval_covers() -> None:
    """In about 95 of 100 repetitions the interval holds the true value, here where the bias is small."""
    rng = np.random.default_rng(1)
    exact = FeatureStatistics(np.zeros(2), np.eye(2))
    held = 0
    for seed in range(60):
        interval = p_fid(rng.normal([3, 0], size=(150, 2)), exact, seed=seed).interval
        assert interval is not None
        held += interval.low < 9 < interval.high
    assert 50 <= held < 60


def test_bias_of_few_samples() -> None:
    """Two sets of one Gaussian: the distance is all bias, and the resamples say so."""
    a, b = np.random.default_rng(2).normal(size=(2, 300, 8))
    found = p_fid(a, b, resamples=30)
    assert found.interval is not None
    assert found.interval.bias == pytest.approx(found.value, rel=0.4)


def test_same_seed_same_interval() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, 40, 3))
    assert p_fid(a, b, resamples=8) == p_fid(a, b, resamples=8)
    assert p_fid(a, b, resamples=8).interval != p_fid(a, b, resamples=8, seed=1).interval
    probabilities = np.abs(a) / np.abs(a).sum(axis=1, keepdims=True)
    assert p_is(probabilities, resamples=8) == p_is(probabilities, resamples=8)
    assert p_is(probabilities, resamples=8).interval != p_is(probabilities, resamples=8, seed=1).interval


def test_resamples_are_of_whole_rows() -> None:
    """Two samples draw either one of them twice or both: of N(0, 0) to the points -1 and 1, 1 or 2 (+ 0)."""
    exact = FeatureStatistics(np.zeros(1), np.zeros((1, 1)))
    interval = p_fid(np.array([[-1.0], [1.0]]), exact, resamples=200).interval
    assert interval is not None
    assert interval.bias == pytest.approx(-0.5, abs=0.15)  # half of the draws are 1, the others 2, as the score
    assert interval.high - interval.low == pytest.approx(1, abs=1e-9)


def test_fewer_samples_than_features() -> None:
    rng = np.random.default_rng(4)
    found = p_fid(rng.normal(size=(5, 64)), rng.normal(size=(70, 64)), resamples=4)
    assert np.isfinite(found.value)
    assert found.value > 0
    assert found.interval is not None
    assert np.isfinite([found.interval.low, found.interval.high]).all()
    assert found.needed == 65
    assert found.note is not None
    assert "5 samples" in found.note
    assert "65" in found.note
    assert "70" not in found.note


@pytest.mark.parametrize(
    ("samples", "reference", "message"),
    [
        (np.zeros((1, 3)), np.eye(3), "samples: expected .* at least 2 clouds, found 1"),
        (np.eye(3), np.zeros((0, 3)), "reference: expected .* found none"),
        (np.eye(3), np.eye(4), r"\(3,\)"),
        (np.eye(3), np.full((3, 3), np.nan), "finite"),
        (np.eye(3) * 1e200, np.eye(3), "finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_bad_features(samples: Any, reference: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        p_fid(samples, reference, resamples=0)


def test_inception_interval() -> None:
    """Sure of one of 4 classes, all alike often: 4, less what a draw's uneven classes cost, with zeros everywhere."""
    rows = np.tile(np.eye(4, 5), (100, 1))
    found = p_is(rows)
    assert found.value == pytest.approx(4)
    assert (found.samples, found.classes, found.classes_seen, found.note) == (400, 5, 4, None)
    assert found.interval is not None
    assert found.interval.bias == pytest.approx(-4 * 3 / (2 * 400), rel=0.3)  # entropy's bias is (k - 1) / 2n
    assert found.interval.low < 4 <= found.interval.high


def test_inception_resamples_are_scored_as_sets_are() -> None:
    """Drawn from rows all alike, every resample has the set's score."""
    found = p_is(np.tile([0.2, 0.8, 0], (30, 1)), split_size=7, resamples=5)
    assert found.interval is not None
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx((1, 1, 1))
    split = np.array([[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]])
    assert p_is(split, split_size=2, resamples=0).value == inception_score(split, 2)


def test_one_class() -> None:
    with pytest.raises(InputError, match="2 classes, found 1"):
        p_is(np.ones((9, 1)))
    found = p_is(np.tile([0.9, 0.1], (9, 1)), resamples=0)
    assert (found.interval, found.classes_seen) == (None, 1)
    assert found.note is not None
    assert "same class" in found.note
    few = p_is(np.eye(3, 8), resamples=0)
    assert few.note is not None
    assert "at least 8" in few.note


@pytest.mark.parametrize("resamples", [-1, 1])
def test_bad_resamples(resamples: int) -> None:
    with pytest.raises(InputError, match="resamples"):
        p_fid(np.eye(3), np.eye(3), resamples=resamples)
    with pytest.raises(InputError, match="resamples"):
        p_is(np.eye(3), resamples=resamples)
