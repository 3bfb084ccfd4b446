"""The SDF model's task: clouds and queries turned together, signs, nearest points, its objective."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.data.datasets import PoolDataset, ShardDataset
from enpointe.data.pools.pool import Pool
from enpointe.nn.sight import SightSDF, SightSDFConfig, nearest_offsets
from enpointe.training.task import Batch
from enpointe.training.tasks.pocket_sdf import (
    SIGN_SCALE,
    SIGN_WEIGHT,
    SOFT,
    STRAY,
    SDFExamples,
    SDFTask,
    SDFTaskConfig,
    degraded,
)
from training.drawing import collated, drawn

CONFIG = SDFTaskConfig(SightSDFConfig(width=16, layers=2, nearest=4, grids=(6, 9)))
STORED = 128
"""Points of every cloud of the pool."""


def batch(
    pool: Pool | SDFTask, seed: int = 0, n: int = 6, *, training: bool = True, n_queries: int = 4, **options: Any
) -> Batch:
    task = pool if isinstance(pool, SDFTask) else SDFTask(PoolDataset(pool), CONFIG)
    examples = SDFExamples(STORED, n_queries, **options)
    return collated(task, examples, seed, n, training=training).arrays


@pytest.fixture
def surface(data: Pool) -> Pool:
    """A pool whose queries are its clouds' own points, with their heights for distances, which no turn changes."""
    heights = data.points[..., 2].astype(np.float32) / np.abs(data.points[..., 2]).max()
    return replace(data, queries=data.points, sdf=heights.astype(np.float16))


def test_a_batch_is_a_function_of_the_generator(data: Pool) -> None:
    one, two, other = (batch(data, seed, n_queries=9) for seed in (3, 3, 4))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)


def test_a_batch(data: Pool) -> None:
    made = batch(data, n_queries=9, sparsest=1)
    shapes = {key: tuple(value.shape) for key, value in made.items()}
    assert shapes == {"points": (6, 3, STORED), "queries": (6, 3, 9), "distances": (6, 9)}
    assert {value.dtype for value in made.values()} == {torch.float32}


def test_distances_are_positive_inside(data: Pool) -> None:
    """Of a ball, which no turn changes; the pool's are negative inside."""
    queries = data.queries * (0.625 / 32767)
    ball = replace(data, sdf=(np.linalg.norm(queries, axis=2) - 0.4).astype(np.float16))
    made = batch(ball, n=32, n_queries=16)
    wanted = 0.4 - made["queries"].norm(dim=1)
    assert torch.allclose(made["distances"], wanted, atol=1e-3)
    assert 50 < (made["distances"] > 0).sum() < 462


def test_queries_turn_with_their_cloud_and_keep_their_distances(surface: Pool) -> None:
    made = batch(surface, n=12, n_queries=64, jitter=0, sparsest=1)
    for points, queries, distances in zip(made["points"], made["queries"], made["distances"], strict=True):
        away, which = cKDTree(points.T.numpy()).query(queries.T.numpy())
        assert away.max() < 1e-4  # every query is a point of its cloud, after the turn too
        assert len(set(which)) == 64
        ratio = -distances / queries[2]  # heights, in some unit, with the sign turned round
        clear = queries[2].abs() > 0.05
        assert ratio[clear].std() < 2e-3 * ratio[clear].mean()
        assert ratio[clear].mean() > 0


@pytest.mark.slow
def test_turns_are_about_z_and_half_of_them_mirror(surface: Pool) -> None:
    upright = surface.points[0] * (0.625 / 32767)
    # Every object of the pool is its first one.
    one = replace(
        surface,
        points=surface.points[:1].repeat(8, 0),
        slot=surface.slot[:1].repeat(8, 0),
        family=surface.family[:1] * 8,
    )
    made = batch(one, n=40, n_queries=1, jitter=0, sparsest=1)
    # A whole cloud is drawn as it is stored, from some point on and round to it; heights tell which.
    rolled = upright[(np.arange(STORED)[:, None] + np.arange(STORED)) % STORED]
    kinds, angles = [], []
    for cloud in made["points"].numpy():
        drawn = rolled[np.abs(rolled[..., 2] - cloud[2]).max(1).argmin()]
        turn = np.linalg.lstsq(drawn, cloud.T, rcond=None)[0].T
        assert np.abs(drawn @ turn.T - cloud.T).max() < 1e-5
        assert np.abs(turn @ turn.T - np.eye(3)).max() < 1e-4
        assert np.abs(turn[2] - [0, 0, 1]).max() < 1e-4
        kinds.append(round(float(np.linalg.det(turn))))
        angles.append(np.arctan2(turn[1, 1], turn[0, 1]))
    assert 8 < kinds.count(-1) < 32
    assert set(kinds) == {-1, 1}
    assert np.abs(np.exp(1j * np.array(angles)).mean()) < 0.45  # all round


def test_clouds_are_jittered_and_queries_are_not(surface: Pool) -> None:
    made = batch(surface, n=24, n_queries=64, jitter=0.03, sparsest=1)
    away = nearest_offsets(made["points"], made["queries"], 1).norm(dim=-1)[..., 0].mean(1)
    assert 0.003 < away.max() < 0.04
    assert away.min() < away.max() / 3


def test_held_out_objects_are_not_trained_on(surface: Pool) -> None:
    marked = replace(surface, sdf=np.repeat(np.arange(8.0)[:, None], STORED, 1).astype(np.float16))
    task = SDFTask(PoolDataset(marked), CONFIG)
    assert set(batch(task, n=60)["distances"].unique().tolist()) == {-float(i) for i in range(7)}
    assert set(batch(task, n=20, training=False)["distances"].unique().tolist()) == {-7.0}


def test_clouds_of_one_phase_are_dense_and_sparse(data: Pool) -> None:
    task = SDFTask(PoolDataset(data), CONFIG)
    sizes = {batch(task, seed)["points"].shape[2] for seed in range(40)}
    assert STORED / 4 <= min(sizes) < 0.4 * STORED
    assert 0.9 * STORED < max(sizes) <= STORED


def test_some_clouds_have_stray_points() -> None:
    cloud = np.zeros((400, 3), np.float32)
    moved = np.array([np.abs(degraded(cloud, 1e-6, np.random.default_rng(i))) for i in range(40)])
    stray = (moved.max(2) > 1e-4).mean(1)
    assert 0.3 < (stray == 0).mean() < 0.7
    assert 0.01 < stray.max() < 2 * STRAY


def test_features_of_queries(data: Pool) -> None:
    task = SDFTask(PoolDataset(data), CONFIG)
    network = task.network
    assert isinstance(network, SightSDF)
    made = drawn(task, SDFExamples(STORED, 16))
    nearest = nearest_offsets(made["points"], made["queries"], CONFIG.network.nearest)
    with torch.no_grad():
        decoded = network.decode(network.encode(made["points"]), made["queries"], nearest)
        assert torch.equal(network(made["features"]), decoded)


class Fixed(nn.Module):
    """Answers fixed values."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, features: Tensor) -> Tensor:
        assert features.shape[:2] == self.values.shape
        return self.values


def test_the_loss_of_an_oracle(data: Pool) -> None:
    task = SDFTask(PoolDataset(data), CONFIG)
    made = drawn(task, SDFExamples(STORED, 16))
    wanted = made["distances"]
    right, turned, off = (task.losses(Fixed(values), made) for values in (wanted, -wanted, wanted + 0.01))

    def sign(values: Tensor) -> Tensor:
        """Cross entropy of being inside."""
        return SIGN_WEIGHT * torch.log1p(torch.exp(-values * wanted.sign() / SIGN_SCALE)).mean(1)

    assert torch.allclose(right.value, sign(wanted), atol=1e-5)
    assert (right.metrics["wrong signs"] == 0).all()
    assert (turned.metrics["wrong signs"] == 1).all()
    error = (2 * wanted.abs() / (wanted.abs() + SOFT)).mean(1)
    assert torch.allclose(turned.value, error + sign(-wanted), atol=1e-5)
    # The same error counts more near the surface.
    error = (0.01 / (wanted.abs() + SOFT)).mean(1)
    assert torch.allclose(off.value, error + sign(wanted + 0.01), rtol=1e-3)
    assert (error < 0.2).all()


def test_a_pool_with_too_few_queries(data: Pool) -> None:
    with pytest.raises(InputError, match="at least 17 queries of each cloud, found 16"):
        batch(data, n_queries=17)


def test_objects_without_distances_are_left_out(data: Pool) -> None:
    """Of the eight objects the last is held out; here the first five have no distances."""
    known = data.sdf.copy()
    known[:5] = np.nan
    known[5:7] = 0.25
    known[7] = 0.5
    task = SDFTask(PoolDataset(replace(data, sdf=known)), CONFIG)
    assert (batch(task, n=40)["distances"] == -0.25).all()
    assert (batch(task, n=40, training=False)["distances"] == -0.5).all()


def test_shards_have_no_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShardDataset, "__post_init__", lambda self: None)
    with pytest.raises(InputError, match="expected pools, found shards, which have no signed distances"):
        SDFTask(ShardDataset("anywhere"), CONFIG)
