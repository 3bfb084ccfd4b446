"""The task of the SDF model: a cloud becomes a signed distance, asked anywhere."""

from __future__ import annotations

import contextlib
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
from enpointe.render.software.orthographic import views
from enpointe.training.task import Batch, Losses

SOFT = 0.05
"""Errors are weighed by 1 / (distance + SOFT): the surface is decided near zero."""
SIGN_WEIGHT, SIGN_SCALE = 0.1, 0.02
"""Of the cross entropy of the sign, and the distance at which it is all but sure."""
STRAY, STRAY_DISTANCE = 0.03, 0.05
"""Up to that part of a cloud's points lies that far off (standard deviation), in half of the clouds."""


class SDFTask:
    """Regression of the signed distance, positive inside, from clouds that are turned, thinned, and not quite true.

    Args:
        n_queries: of each cloud.
        jitter: clouds are moved by noise of up to this standard deviation, mostly by less.
        sparsest: a batch's clouds have between all of a phase's points and one in so many of them.

    Raises:
        InputError: the pool knows fewer distances of a cloud than `n_queries`.
    """

    name = "pocket-sdf"

    def __init__(
        self,
        pool: Pool,
        config: SightSDFConfig,
        *,
        n_queries: int = 512,
        jitter: float = 0.03,
        sparsest: float = 4.0,
        seed: int = 0,
    ) -> None:
        stored = pool.sdf.shape[1]
        if stored < n_queries:
            raise InputError(f"distances' data: expected at least {n_queries} queries of each cloud, found {stored}")
        torch.manual_seed(seed)
        self._sight = config.build()
        self.network: nn.Module = self._sight
        self.network_info: dict[str, Any] = config.described()
        self._pool, self._n_queries, self._jitter, self._sparsest = pool, n_queries, jitter, sparsest
        # Real models have no distances.
        self._training, self._held_out = (
            np.array([i for i in part if pool.has_distance(int(i))], dtype=np.int64) for part in pool.split()
        )

    def batch(self, rng: np.random.Generator, n: int, n_points: int, *, training: bool) -> Batch:
        """Clouds (n, 3, P) with P at most n_points, queries (n, 3, Q), distances (n, Q) positive inside."""
        indices = rng.choice(self._training if training else self._held_out, n)
        size = max(self._sight.nearest, round(n_points * self._sparsest ** -rng.random()))
        points, queries, distances = [], [], []
        for index in indices:
            cloud = self._worn(self._pool.draw(int(index), size, rng).points, rng)
            asked, distance = self._pool.distances(int(index))
            pick = rng.choice(len(asked), self._n_queries, replace=False)
            turn = _turn(rng)
            points.append((cloud @ turn.T).T)
            queries.append((asked[pick] @ turn.T).T)
            distances.append(-distance[pick])
        stack = [torch.from_numpy(np.stack(column).astype(np.float32)) for column in (points, queries, distances)]
        return dict(zip(("points", "queries", "distances"), stack, strict=True))

    def _worn(self, cloud: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        """The cloud (n, 3) as a model might have drawn it."""
        noise = rng.normal(0, self._jitter * rng.random() ** 2, cloud.shape)
        if self._jitter and rng.random() < 0.5:
            stray = rng.random(len(cloud)) < rng.uniform(0, STRAY)
            noise[stray] += rng.normal(0, STRAY_DISTANCE, (stray.sum(), 3))
        return cloud + noise

    def prepare(self, batch: Batch) -> Batch:
        """Finds what the queries see."""
        points, queries = batch["points"], batch["queries"]
        nearest = nearest_offsets(points, queries, self._sight.nearest)
        return {**batch, "features": self._sight.observe(self._sight.encode(points), queries, nearest)}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Weighed absolute error and cross entropy of the sign, per cloud; the level is the share of wrong signs."""
        predicted = network(batch["features"]).float()
        wanted = batch["distances"]
        inside = (wanted > 0).float()
        error = ((predicted - wanted).abs() / (wanted.abs() + SOFT)).mean(1)
        sign = F.binary_cross_entropy_with_logits(predicted / SIGN_SCALE, inside, reduction="none").mean(1)
        wrong = ((predicted > 0) != (wanted > 0)).float().mean(1).detach()
        return Losses(error + SIGN_WEIGHT * sign, wrong)

    def picture(self, network: nn.Module) -> NDArray[np.uint8]:
        """Meshes of held-out objects."""
        assert isinstance(network, SightSDF)
        rng = np.random.default_rng(0)
        rows = []
        for index in rng.choice(self._held_out, 6, replace=False):
            example = self._pool.draw(int(index), 2048, rng)
            cloud = PointCloud(example.points, example.colors)
            device = next(network.parameters()).device
            shown: PointCloud | Mesh = cloud
            with contextlib.suppress(MeshError):  # a network at its beginning has no surface
                shown = mesh_from_field(sdf_field(network, cloud.points, device), cloud, grid_size=48)
            rows.append(views(shown, n=4, size=160))
        return np.concatenate(rows)


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random turn about z, mirrored half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return turn * np.array([rng.choice([-1, 1]), 1, 1])
