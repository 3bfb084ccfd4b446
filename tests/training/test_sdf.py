"""The SDF model's task: clouds and queries turned together, signs, nearest points, its objective."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from enpointe.datagen.pool import Pool
from enpointe.errors import InputError
from enpointe.models.config import SDFConfig
from enpointe.nn.sdf import SDFTransformer, nearest_offsets
from enpointe.training.sdf import SOFT, SDFTask
from enpointe.training.task import Batch

CONFIG = SDFConfig(width=32, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2, nearest=4)
STORED = 128
"""Points of every cloud of the pool."""


def batch(task: SDFTask, seed: int = 0, n: int = 6, *, training: bool = True) -> Batch:
    return task.batch(np.random.default_rng(seed), n, STORED, training=training)


@pytest.fixture
def surface(data: Pool) -> Pool:
    """A pool that is asked at its clouds' own points; it calls their heights distances, which no turn changes."""
    heights = data.points[..., 2].astype(np.float32) / np.abs(data.points[..., 2]).max()
    return replace(data, queries=data.points, sdf=heights.astype(np.float16))


def test_a_batch_is_a_function_of_the_generator(data: Pool) -> None:
    one, two, other = (batch(SDFTask(data, CONFIG, n_queries=9), seed) for seed in (3, 3, 4))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)


def test_a_batch(data: Pool) -> None:
    made = batch(SDFTask(data, CONFIG, n_queries=9))
    shapes = {key: tuple(value.shape) for key, value in made.items()}
    assert shapes == {"points": (6, 3, STORED), "queries": (6, 3, 9), "distances": (6, 9)}
    assert {value.dtype for value in made.values()} == {torch.float32}


def test_distances_are_positive_inside(data: Pool) -> None:
    """Of a ball, which looks the same however it is turned; the pool's are negative inside."""
    asked = data.queries * (0.625 / 32767)
    ball = replace(data, sdf=(np.linalg.norm(asked, axis=2) - 0.4).astype(np.float16))
    made = batch(SDFTask(ball, CONFIG, n_queries=16), n=32)
    wanted = 0.4 - made["queries"].norm(dim=1)
    assert torch.allclose(made["distances"], wanted, atol=1e-3)
    assert 50 < (made["distances"] > 0).sum() < 462


def test_queries_turn_with_their_cloud_and_keep_their_distances(surface: Pool) -> None:
    made = batch(SDFTask(surface, CONFIG, n_queries=64, jitter=0), n=12)
    for points, queries, distances in zip(made["points"], made["queries"], made["distances"], strict=True):
        away, which = cKDTree(points.T.numpy()).query(queries.T.numpy())
        assert away.max() < 1e-4  # every query is a point of its cloud, after the turn too
        assert len(set(which)) == 64
        ratio = -distances / queries[2]  # heights, in some unit, with the sign turned round
        clear = queries[2].abs() > 0.05
        assert ratio[clear].std() < 2e-3 * ratio[clear].mean()
        assert ratio[clear].mean() > 0


def test_turns_are_about_z_and_half_of_them_mirror(surface: Pool) -> None:
    upright = surface.points[0] * (0.625 / 32767)
    # Every object of the pool is its first one.
    one = replace(
        surface,
        points=surface.points[:1].repeat(8, 0),
        slot=surface.slot[:1].repeat(8, 0),
        family=surface.family[:1] * 8,
    )
    made = batch(SDFTask(one, CONFIG, n_queries=1, jitter=0), n=40)
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
    task = SDFTask(surface, CONFIG, n_queries=64, jitter=0.02)
    away = task.prepare(batch(task, n=24))["nearest"][:, :, 0].norm(dim=-1).mean(1)
    assert 0.003 < away.max() < 0.04
    assert away.min() < away.max() / 3


def test_held_out_objects_are_not_trained_on(surface: Pool) -> None:
    marked = replace(surface, sdf=np.repeat(np.arange(8.0)[:, None], STORED, 1).astype(np.float16))
    task = SDFTask(marked, CONFIG, n_queries=4)
    assert set(batch(task, n=60)["distances"].unique().tolist()) == {-float(i) for i in range(7)}
    assert set(batch(task, n=20, training=False)["distances"].unique().tolist()) == {-7.0}


@pytest.mark.parametrize("k", [1, 4, 30])
def test_nearest_offsets(k: int) -> None:
    rng = np.random.default_rng(k)
    points, queries = (rng.uniform(-0.5, 0.5, (2, n, 3)).astype(np.float32) for n in (30, 50))
    found = nearest_offsets(*(torch.from_numpy(a).transpose(1, 2) for a in (points, queries)), k)
    assert found.shape == (2, 50, k, 3)
    for cloud, asked, offsets in zip(points, queries, found.numpy(), strict=True):
        distance, index = cKDTree(cloud).query(asked, k=range(1, k + 1))
        assert np.abs(np.linalg.norm(offsets, axis=-1) - distance).max() < 1e-3
        assert (np.abs(offsets - (cloud[index] - asked[:, None])).max(-1) < 1e-6).mean() > 0.99  # two may be as near


@pytest.mark.parametrize("nearest", [0, 1, 4])
def test_a_network_finds_its_nearest_points_by_itself(data: Pool, nearest: int) -> None:
    task = SDFTask(data, replace(CONFIG, nearest=nearest), n_queries=16)
    network = task.network
    assert isinstance(network, SDFTransformer)
    made = task.prepare(batch(task))
    assert made["nearest"].shape == (6, 16, nearest, 3)
    with torch.no_grad():
        alone = network(made["points"], made["queries"])
        given = network(made["points"], made["queries"], made["nearest"])
        decoded = network.decode(network.encode(made["points"]), made["queries"], made["nearest"])
        others = network(made["points"], made["queries"], made["nearest"] + 0.1)
    assert torch.equal(alone, given)
    assert torch.equal(decoded, given)
    assert torch.equal(others, given) == (nearest == 0)
    assert given.std() > 1e-3


class Says(nn.Module):
    """Answers what it was told to."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(self, points: Tensor, queries: Tensor, nearest: Tensor) -> Tensor:
        assert (len(points), queries.shape[2], nearest.shape[2]) == (*self.values.shape, 4)
        return self.values


def test_the_loss_of_an_oracle_is_zero(data: Pool) -> None:
    task = SDFTask(data, CONFIG, n_queries=16)
    made = task.prepare(batch(task))
    wanted = made["distances"]
    right, turned, off = (task.losses(Says(values), made) for values in (wanted, -wanted, wanted + 0.01))
    assert (right.value == 0).all()
    assert (right.level == 0).all()
    assert (turned.level == 1).all()
    assert torch.allclose(turned.value, (2 * wanted.abs() / (wanted.abs() + SOFT)).mean(1))
    # The same error counts more near the surface.
    assert torch.allclose(off.value, (0.01 / (wanted.abs() + SOFT)).mean(1), rtol=1e-3)
    assert (off.value < 0.2).all()


def test_a_pool_with_too_few_queries(data: Pool) -> None:
    SDFTask(data, CONFIG, n_queries=16)
    with pytest.raises(InputError, match="at least 17 queries of each cloud, found 16"):
        SDFTask(data, CONFIG, n_queries=17)


def test_objects_without_distances_are_left_out(data: Pool) -> None:
    """Of the eight objects the last is held out; here the first five have no distances."""
    known = data.sdf.copy()
    known[:5] = np.nan
    known[5:7] = 0.25
    known[7] = 0.5
    task = SDFTask(replace(data, sdf=known), CONFIG, n_queries=16)
    assert (batch(task, n=40)["distances"] == -0.25).all()
    assert (batch(task, n=40, training=False)["distances"] == -0.5).all()
