"""The Fréchet distance: closed forms, few samples, the release's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.frechet import FeatureStatistics, RunningStatistics, frechet_distance

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


@pytest.mark.golden
def test_golden(golden: Read) -> None:
    tensors, _ = golden("fid_is")
    a, b = (FeatureStatistics.of(tensors[f"features_{i}"].numpy()) for i in (1, 2))
    assert frechet_distance(a, b) == pytest.approx(float(tensors["fid"]), rel=1e-9)


def test_gaussians_with_common_axes() -> None:
    """(m_a - m_b)^2 + (s_a - s_b)^2 along each axis, in any turned frame."""
    rng = np.random.default_rng(0)
    mean_a, mean_b = rng.normal(size=(2, 6))
    std_a, std_b = rng.uniform(0, 3, size=(2, 6))
    std_a[0] = std_b[1] = 0
    frame = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    a = FeatureStatistics(frame @ mean_a, frame @ np.diag(std_a**2) @ frame.T)
    b = FeatureStatistics(frame @ mean_b, frame @ np.diag(std_b**2) @ frame.T)
    expected = ((mean_a - mean_b) ** 2 + (std_a - std_b) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_planar_gaussians_without_common_axes() -> None:
    """In the plane tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB))."""
    a, b = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    overlap = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    found = frechet_distance(FeatureStatistics(np.zeros(2), a), FeatureStatistics(np.ones(2), b))
    assert found == pytest.approx(2 + np.trace(a) + np.trace(b) - 2 * overlap, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**31))
def test_properties(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    other = rng.normal(size=(n + 1, d))
    a, b = FeatureStatistics.of(features), FeatureStatistics.of(other)
    size = float(np.trace(a.covariance) + np.trace(b.covariance))
    assert frechet_distance(a, FeatureStatistics.of(features[::-1])) <= 1e-10 * size
    distance = frechet_distance(a, b)
    assert distance == pytest.approx(frechet_distance(b, a), abs=1e-10 * size)
    shifted = FeatureStatistics(a.mean + 2, a.covariance)
    assert frechet_distance(a, shifted) == pytest.approx(4 * d, abs=1e-10 * (size + 4 * d))


def test_fewer_samples_than_dimensions() -> None:
    """Singular covariances on disjoint axes share nothing: their traces add up."""
    rng = np.random.default_rng(1)
    a, b = np.zeros((5, 300)), np.zeros((6, 300))
    a[:, :100] = rng.normal(size=(5, 100))
    b[:, 100:] = rng.normal(size=(6, 200))
    one, two = FeatureStatistics.of(a), FeatureStatistics.of(b)
    expected = ((one.mean - two.mean) ** 2).sum() + np.trace(one.covariance) + np.trace(two.covariance)
    assert frechet_distance(one, two) == pytest.approx(expected, rel=1e-10)


def test_running_statistics() -> None:
    """A stream's statistics are those of the whole, whatever its batches, with means far beyond the spread."""
    features = np.random.default_rng(2).normal(size=(500, 6)) @ np.diag([1, 1e-3, 5, 1, 2, 1]) + 1e4
    running = RunningStatistics()
    for part in np.split(features, [0, 1, 8, 9, 300]):
        running.add(part)
    found, whole = running.statistics(), FeatureStatistics.of(features)
    assert running.count == found.count == whole.count == 500
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-14)
    scale = np.sqrt(np.outer(np.diag(whole.covariance), np.diag(whole.covariance)))
    assert np.abs((found.covariance - whole.covariance) / scale).max() < 1e-8
    assert frechet_distance(found, whole) < 1e-8


def test_running_statistics_refuse() -> None:
    running = RunningStatistics()
    running.add(np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="at least 2 samples, found 1"):
        running.statistics()
    with pytest.raises(InputError, match="expected 3"):
        running.add(np.ones((2, 4)))
    with pytest.raises(InputError, match="finite"):
        running.add(np.full((2, 3), np.inf))
    with pytest.raises(InputError, match="shape"):
        running.add(np.ones(3))
    assert running.count == 1


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least 2"):
        FeatureStatistics.of(np.zeros((1, 4)))
    with pytest.raises(InputError, match="finite"):
        FeatureStatistics.of(np.full((3, 4), np.nan))
    with pytest.raises(InputError, match=r"\(3,\)"):
        frechet_distance(FeatureStatistics.of(np.eye(3)), FeatureStatistics.of(np.eye(4)))
    with pytest.raises(InputError, match="finite"):
        frechet_distance(FeatureStatistics(np.zeros(2), np.full((2, 2), np.nan)), FeatureStatistics.of(np.eye(2)))
