"""The SDF model: a cloud becomes a signed distance, at any query."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from enpointe.core.errors import InputError, MeshError
from enpointe.data.pools.pool import Pool
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.field import sdf_field
from enpointe.meshing.marching_cubes import mesh_from_field
from enpointe.nn.sight import SightSDF, SightSDFConfig, nearest_offsets
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.orthographic import views
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses, TaskConfig
from enpointe.training.tasks import RECIPES

SOFT = 0.05
"""Errors are weighed by 1 / (distance + SOFT): the surface is decided near zero."""
SIGN_WEIGHT, SIGN_SCALE = 0.1, 0.02
"""Of the cross entropy of the sign, and the distance at which it is all but sure."""
STRAY, STRAY_DISTANCE = 0.03, 0.05
"""Up to this share of a cloud's points lies this far off (standard deviation), in half of the clouds."""


@dataclass(frozen=True)
class SDFTaskConfig(TaskConfig["SDFExamples"]):
    """The SDF model."""

    network: SightSDFConfig

    def build(self, data: Pool, run: Path, *, seed: int) -> SDFTask:
        return SDFTask(data, self, seed=seed)


@dataclass(frozen=True)
class SDFExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a cloud, at most.
        n_queries: of each cloud.
        jitter: clouds are moved by noise of up to this standard deviation, mostly by less.
        sparsest: a batch's clouds have between all of the points and one in so many of them.
    """

    n_points: int
    n_queries: int = 512
    jitter: float = 0.03
    sparsest: float = 4.0


class SDFTask:
    """Regression of the signed distance, positive inside, from clouds that are turned, thinned and degraded."""

    def __init__(self, pool: Pool, config: SDFTaskConfig, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self._sight = config.network.build()
        self.network: nn.Module = self._sight
        self.network_info: dict[str, Any] = config.network.described()
        self._pool = pool
        # Real models have no distances.
        self._training, self._held_out = (
            np.array([i for i in part if pool.has_distance(int(i))], dtype=np.int64) for part in pool.split()
        )

    def batch(self, rng: np.random.Generator, n: int, examples: SDFExamples, *, training: bool) -> Batch:
        """Clouds (n, 3, P) with P at most n_points, queries (n, 3, Q), distances (n, Q) positive inside.

        Raises:
            InputError: the pool has fewer distances of a cloud than `n_queries`.
        """
        stored, n_queries = self._pool.sdf.shape[1], examples.n_queries
        if stored < n_queries:
            raise InputError(f"distances' data: expected at least {n_queries} queries of each cloud, found {stored}")
        indices = rng.choice(self._training if training else self._held_out, n)
        size = max(self._sight.nearest, round(examples.n_points * examples.sparsest ** -rng.random()))
        made: list[tuple[NDArray[Any], ...]] = []
        for index in indices:
            cloud = degraded(self._pool.draw(int(index), size, rng).points, examples.jitter, rng)
            queries, distances = self._pool.distances(int(index))
            pick = rng.choice(stored, n_queries, replace=False)
            turn = _turn(rng)
            made.append(((cloud @ turn.T).T, (queries[pick] @ turn.T).T, -distances[pick]))
        stacked = [torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*made, strict=True)]
        return dict(zip(("points", "queries", "distances"), stacked, strict=True))

    def prepare(self, batch: Batch) -> Batch:
        """Finds the features of the queries."""
        points, queries = batch["points"], batch["queries"]
        nearest = nearest_offsets(points, queries, self._sight.nearest)
        return {**batch, "features": self._sight.observe(self._sight.encode(points), queries, nearest)}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Weighted absolute error and cross entropy of the sign, per cloud; also the share of wrong signs."""
        predicted = network(batch["features"]).float()
        true = batch["distances"]
        inside = (true > 0).float()
        error = ((predicted - true).abs() / (true.abs() + SOFT)).mean(1)
        sign = F.binary_cross_entropy_with_logits(predicted / SIGN_SCALE, inside, reduction="none").mean(1)
        wrong = ((predicted > 0) != (true > 0)).float().mean(1).detach()
        return Losses(error + SIGN_WEIGHT * sign, metrics={"wrong signs": wrong})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Meshes of held-out objects."""
        assert isinstance(network, SightSDF)
        rng = np.random.default_rng(0)
        images = []
        for index in rng.choice(self._held_out, 6, replace=False):
            example = self._pool.draw(int(index), 2048, rng)
            cloud = PointCloud(example.points, example.colors)
            device = next(network.parameters()).device
            shown: PointCloud | Mesh = cloud
            with contextlib.suppress(MeshError):  # a network at its beginning has no surface
                shown = mesh_from_field(sdf_field(network, cloud.points, device), cloud, grid_size=48)
            images.append(views(shown, n=4, size=160))
        return contact_sheet(images, columns=1)


def degraded(cloud: NDArray[np.float32], jitter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The cloud (n, 3) as a model might have drawn it: noisy, in half of the cases with stray points."""
    noise = rng.normal(0, jitter * rng.random() ** 2, cloud.shape)
    if jitter and rng.random() < 0.5:
        stray = rng.random(len(cloud)) < rng.uniform(0, STRAY)
        noise[stray] += rng.normal(0, STRAY_DISTANCE, (stray.sum(), 3))
    return cloud + noise


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random turn about z, mirrored half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return turn * np.array([rng.choice([-1, 1]), 1, 1])


RECIPES.register("pocket-sdf")(
    Recipe(
        SDFTaskConfig(SightSDFConfig(width=256, layers=3, nearest=16, grids=(16, 24, 40))),
        Settings(phases=(Phase(until=1.0, batch=8, examples=SDFExamples(n_points=4096)),), learning_rate=2e-3),
        minutes=30,
    )
)
