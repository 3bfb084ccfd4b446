"""The task of the SDF model: a cloud becomes a signed distance, asked anywhere."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.datagen.pool import Pool
from enpointe.errors import InputError, MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.plot import views
from enpointe.geometry.point_cloud import PointCloud
from enpointe.models.config import SDFConfig
from enpointe.nn.sdf import SDFTransformer, nearest_offsets
from enpointe.pipeline.field import sdf_field
from enpointe.pipeline.meshing import mesh_from_field
from enpointe.training.task import Batch, Losses

SOFT = 0.05
"""Errors are weighed by 1 / (distance + SOFT): the surface is decided near zero."""


class SDFTask:
    """Regression of the signed distance, positive inside, from clouds that are turned and a little noisy.

    Raises:
        InputError: the pool knows fewer distances of a cloud than `n_queries`.
    """

    name = "pocket-sdf"

    def __init__(
        self, pool: Pool, config: SDFConfig, *, n_queries: int = 256, jitter: float = 0.01, seed: int = 0
    ) -> None:
        stored = pool.sdf.shape[1]
        if stored < n_queries:
            raise InputError(f"distances' data: expected at least {n_queries} queries of each cloud, found {stored}")
        torch.manual_seed(seed)
        self.network: nn.Module = config.build()
        self.network_info: dict[str, Any] = {"kind": "sdf_transformer", "config": {**vars(config)}}
        self._pool, self._n_queries, self._jitter, self._nearest = pool, n_queries, jitter, config.nearest
        # Real models have no distances.
        self._training, self._held_out = (
            np.array([i for i in part if pool.has_distance(int(i))], dtype=np.int64) for part in pool.split()
        )

    def batch(self, rng: np.random.Generator, n: int, n_points: int, *, training: bool) -> Batch:
        """Clouds (n, 3, n_points), queries (n, 3, Q), distances (n, Q) positive inside."""
        indices = rng.choice(self._training if training else self._held_out, n)
        points, queries, distances = [], [], []
        for index in indices:
            cloud = self._pool.draw(int(index), n_points, rng).points
            asked, distance = self._pool.distances(int(index))
            pick = rng.choice(len(asked), self._n_queries, replace=False)
            turn = _turn(rng)
            noisy = cloud + rng.normal(0, rng.uniform(0, self._jitter), cloud.shape)
            points.append((noisy @ turn.T).T)
            queries.append((asked[pick] @ turn.T).T)
            distances.append(-distance[pick])
        stack = [torch.from_numpy(np.stack(column).astype(np.float32)) for column in (points, queries, distances)]
        return dict(zip(("points", "queries", "distances"), stack, strict=True))

    def prepare(self, batch: Batch) -> Batch:
        """Finds the points nearest to each query."""
        return {**batch, "nearest": nearest_offsets(batch["points"], batch["queries"], self._nearest)}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Weighed absolute error, per cloud; the level is the share of queries with a wrong sign."""
        predicted = network(batch["points"], batch["queries"], batch["nearest"]).float()
        wanted = batch["distances"]
        value = ((predicted - wanted).abs() / (wanted.abs() + SOFT)).mean(1)
        wrong = ((predicted > 0) != (wanted > 0)).float().mean(1).detach()
        return Losses(value, wrong)

    def picture(self, network: nn.Module) -> NDArray[np.uint8]:
        """Meshes of held-out objects."""
        assert isinstance(network, SDFTransformer)
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
