"""Clouds to features: normalization, batches, and the release's numbers from clouds as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.features import embed, extract
from enpointe.geometry.unit_ball import normalized
from enpointe.nn.pointnet2 import PointNet2, ball_query
from rounding import assert_same_sums

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


@pytest.fixture(scope="module")
def network() -> PointNet2:
    torch.manual_seed(0)
    return PointNet2(classes=5, width=0.125, samples=(16, 8), radii=(0.4, 0.8), neighbours=(8, 8)).eval()


@pytest.mark.golden
def test_golden(golden: Read) -> None:
    tensors, about = golden("pointnet")
    released = PointNet2(classes=int(about["num_class"]), width=float(about["width_mult"])).eval()
    released.load_state_dict({key[2:]: value for key, value in tensors.items() if key.startswith("w.")})
    clouds = tensors["point_clouds"].numpy()
    np.testing.assert_allclose(normalized(clouds), tensors["normalized"].numpy(), atol=1e-6)
    found = extract(released, [clouds[:1], clouds[1:]])
    for values, expected in (
        (found.features, tensors["features"].numpy()),
        (np.log(found.probabilities), tensors["log_probs"].numpy()),
    ):
        assert np.linalg.norm(values - expected) < 2e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_normalized(dtype: str) -> None:
    rng = np.random.default_rng(0)
    clouds = (rng.normal(size=(4, 50, 3)) * 20 + 7).astype(dtype)
    found = normalized(clouds)
    assert found.dtype == (np.float32 if dtype in {"float16", "float32"} else np.float64)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2).max(axis=1), 1, rtol=1e-6)
    moved = normalized(clouds.astype(np.float64) * 3 - 5)
    np.testing.assert_allclose(found, moved, atol=1e-5)


def test_one_place_becomes_zeros() -> None:
    np.testing.assert_array_equal(normalized(np.full((2, 8, 3), 4.0)), 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_not_finite(bad: float) -> None:
    clouds = np.zeros((3, 8, 3), np.float32)
    clouds[1, 2, 0] = bad
    with pytest.raises(InputError, match="first cloud 1"):
        normalized(clouds)


@pytest.mark.parametrize(
    "clouds", [np.zeros((3, 8)), np.zeros((3, 8, 4)), np.zeros((3, 0, 3)), np.zeros((1, 2, 3), "U1")]
)
def test_no_clouds(clouds: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        normalized(clouds)


def test_batches_do_not_matter(network: PointNet2) -> None:
    clouds = np.random.default_rng(1).normal(size=(70, 40, 3))
    whole = extract(network, [clouds])
    parts = extract(network, [clouds[:11], clouds[11:66], clouds[66:]])
    assert_same_sums(torch.from_numpy(parts.features), torch.from_numpy(whole.features), network)
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, rtol=1e-5)
    last = embed(network, clouds[64:], np.arange(6)).features
    assert_same_sums(torch.from_numpy(whole.features[64:]), torch.from_numpy(last), network)
    own = extract(network, [clouds], start_period=1)
    alone = embed(network, clouds[5:6]).features[0]
    assert_same_sums(torch.from_numpy(own.features[5]), torch.from_numpy(alone), network)
    assert not np.allclose(own.features[1:64], whole.features[1:64])


def test_bfloat16(network: PointNet2) -> None:
    """Neighbors are those of float32, and the features not even a bfloat16 rounding per layer away."""
    clouds = np.random.default_rng(2).normal(size=(12, 60, 3))
    whole, half = extract(network, [clouds]), extract(network, [clouds], dtype=torch.bfloat16)
    assert half.features.dtype == np.float32
    difference = np.linalg.norm(half.features - whole.features, axis=1) / np.linalg.norm(whole.features, axis=1)
    assert 0 < difference.max() < 0.02
    np.testing.assert_allclose(half.probabilities.sum(axis=1), 1, rtol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        points = torch.from_numpy(clouds).float()
        near = ball_query(points, points[:, :9], 0.8, 8)
    for found, expected in zip(near, ball_query(points, points[:, :9], 0.8, 8), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_nothing(network: PointNet2) -> None:
    with pytest.raises(InputError, match="at least one"):
        extract(network, [])
