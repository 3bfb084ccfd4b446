"""The SDF model: a cloud becomes a signed distance, at any query."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from enpointe.core.errors import InputError, MeshError
from enpointe.data.datasets import Dataset, PoolDataset, ShardDataset, map_parts
from enpointe.data.example import Example
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.field import SDFNetwork, sdf_field
from enpointe.meshing.marching_cubes import mesh_from_field
from enpointe.nn.sight import SightSDF, SightSDFConfig, nearest_offsets
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.orthographic import views
from enpointe.training.clouds import window
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig
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

    def build(self, data: Dataset, run: Path, *, seed: int) -> SDFTask:
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

    text_tokens = 0

    def __init__(self, data: Dataset, config: SDFTaskConfig, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self._sight = config.network.build()
        self.network: nn.Module = self._sight
        self.network_info: dict[str, Any] = config.network.described()
        self.data = map_parts(data, with_distances)
        self.collate = QueryCollate(self._sight.nearest)

    def prepare(self, batch: Batch, settings: SDFExamples, generator: torch.Generator, *, training: bool) -> Batch:
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
        return meshes_of(network, self.data)


def meshes_of(network: SDFNetwork, data: Dataset) -> NDArray[np.uint8]:
    """Meshes of held-out objects as one image; a cloud where the network sees no surface, as at its beginning."""
    device, images = next(network.parameters()).device, []
    for example in islice(data.split(held_out=True).stream(), 6):
        cloud = PointCloud(*window(example, 2048, np.random.default_rng(0)))
        shown: PointCloud | Mesh = cloud
        with contextlib.suppress(MeshError):
            shown = mesh_from_field(sdf_field(network, cloud.points, device), cloud, grid_size=48)
        images.append(views(shown, n=4, size=160))
    return contact_sheet(images, columns=1)


def with_distances(part: Dataset) -> Dataset:
    """Of a pool the objects whose distances are known, which those of real models are not."""
    if isinstance(part, ShardDataset):
        raise InputError("distances' data: expected pools, found shards, which have no signed distances")
    if not isinstance(part, PoolDataset):
        return part
    known = np.array([part.pool.has_distance(i) for i in range(len(part.pool))], dtype=np.float64)
    part = part.weighted(known)
    if not len(part.split(held_out=False)) or not len(part.split(held_out=True)):
        raise InputError(f"distances' data: expected objects with distances, found too few among {len(part.pool)}")
    return part


@dataclass(frozen=True)
class QueryCollate:
    """Clouds that are turned, thinned and degraded, with queries.

    Attributes:
        nearest: points that a query looks at: a cloud has at least as many.
    """

    nearest: int

    def __call__(
        self, examples: Sequence[Example], settings: SDFExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Clouds (n, 3, P) with P at most n_points, queries (n, 3, Q), distances (n, Q) positive inside.

        Raises:
            InputError: fewer distances of a cloud than `n_queries`.
        """
        size = max(self.nearest, round(settings.n_points * settings.sparsest ** -rng.random()))
        made: list[tuple[NDArray[Any], ...]] = []
        for example in examples:
            cloud = degraded(window(example, size, rng)[0], settings.jitter, rng)
            queries, distances = known_distances(example, settings.n_queries, rng)
            turn = _turn(rng)
            made.append(((cloud @ turn.T).T, (queries @ turn.T).T, distances))
        stacked = [torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*made, strict=True)]
        return Collated(dict(zip(("points", "queries", "distances"), stacked, strict=True)))


def known_distances(
    example: Example, n_queries: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Some of an example's queries (n, 3) and their distances (n,), here positive inside.

    Raises:
        InputError: it has fewer.
    """
    known = example.distances
    stored = 0 if known is None else len(known.values)
    if known is None or stored < n_queries:
        raise InputError(f"distances' data: expected at least {n_queries} queries of each cloud, found {stored}")
    pick = rng.choice(stored, n_queries, replace=False)
    return known.queries[pick], -known.values[pick]


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
