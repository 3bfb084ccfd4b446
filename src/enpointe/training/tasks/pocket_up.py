"""The upsampler: the points of a cell get children of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import nn

from enpointe.core.errors import InputError
from enpointe.data.datasets import Dataset
from enpointe.data.example import Example
from enpointe.diffusion.loss import velocity_loss
from enpointe.diffusion.schedule import VelocityProcess
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.pipelines.families.pocket.upsampling import (
    CellFrame,
    CellShape,
    anchored,
    cells,
    offsets,
    surroundings,
    upsample,
)
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.splats import splat
from enpointe.training.clouds import window
from enpointe.training.levels import normal_levels
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig
from enpointe.training.tasks import RECIPES

DENSITY = 4
"""A dense cloud has so many times the points of its coarse one."""
NEAR = 6
"""Children are drawn from this many dense points nearest to their anchor, or from as many as there are children."""


LEVELS = VelocityProcess(std=1.2)


@dataclass(frozen=True)
class UpsamplerTaskConfig(TaskConfig["UpsamplerExamples"]):
    """The upsampler.

    Attributes:
        network: with a low_res condition, and 12 input channels: the anchor and the noisy offset.
        shape: of the cells.
    """

    network: PointTransformerConfig
    shape: CellShape = field(default_factory=CellShape)

    def build(self, data: Dataset, run: Path, *, seed: int) -> UpsamplerTask:
        return UpsamplerTask(data, self, seed=seed)


@dataclass(frozen=True)
class UpsamplerExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a coarse cloud.
        jitter: its points are displaced by noise of up to this standard deviation, their colors by three times as
            much.
        levels: of the noise that the network removes.
        cells: used of one cloud; making the cloud costs more than cutting it.
    """

    n_points: int
    jitter: float = 0.01
    cells: int = 4
    levels: VelocityProcess = LEVELS


class UpsamplerTask:
    """Velocity prediction of new points' offsets from their anchors, given the cell and its context.

    The coarse points are a random subset of the dense cloud, a little displaced and discolored:
    what the upsampler meets later was made by a network.
    """

    text_tokens = 0

    def __init__(self, data: Dataset, config: UpsamplerTaskConfig, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.data = data
        self.network: nn.Module = config.network.build()
        self.network_info: dict[str, Any] = {
            **config.network.described(),
            "prediction": "velocity",
            "cell": {**vars(config.shape)},
        }
        self.collate = CellCollate(config.shape)

    def prepare(
        self, batch: Batch, settings: UpsamplerExamples, generator: torch.Generator, *, training: bool
    ) -> Batch:
        """Noise like x0, and sigma (n,)."""
        x0 = batch["x0"]
        noise = torch.randn(x0.shape, generator=generator, device=x0.device)
        return {**batch, "noise": noise, "sigma": settings.levels.training_sigmas(normal_levels(len(x0), generator))}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error of the velocity; the noise level is the angle on the VP circle as a part of pi/2."""
        sigma = batch["sigma"]
        cond = {name: batch[name] for name in ("anchors", "low_res")}
        value = velocity_loss(anchored(network), batch["x0"], sigma, batch["noise"], **cond)
        return Losses(value, torch.atan(sigma) * 2 / math.pi)

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Held-out clouds of 1,024 points above the same with 4,096."""
        device = next(network.parameters()).device
        coarse, fine = [], []
        for example in islice(self.data.split(held_out=True).stream(), 6):
            cloud = PointCloud(*window(example, 1024, np.random.default_rng(0)))
            dense = upsample(network, cloud, 4096, seed=0, shape=self.collate.shape, device=device)
            coarse.append(splat(cloud.points, cloud.colors, 35, size=200))
            fine.append(splat(dense.points, dense.colors, 35, size=200))
        return contact_sheet([*coarse, *fine], columns=len(coarse))


@dataclass(frozen=True)
class CellCollate:
    """Cells of coarse clouds, with the points that are to be added to them."""

    shape: CellShape

    def __call__(
        self, examples: Sequence[Example], settings: UpsamplerExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """`settings.cells` of each example: x0 (n, 6, anchors * children), anchors like it, low_res (n, 6, context).

        Raises:
            InputError: clouds too small to hold the coarse points and, apart from them, the dense ones.
        """
        made: list[tuple[NDArray[np.float32], ...]] = []
        for example in examples:
            made += self._cells(example, settings, rng)
        x0, anchors, low_res = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*made, strict=True))
        return Collated({"x0": x0, "anchors": anchors, "low_res": low_res})

    def _cells(
        self, example: Example, settings: UpsamplerExamples, rng: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        n_points, shape = settings.n_points, self.shape
        if len(example.points) < DENSITY * n_points:
            raise InputError(
                f"upsampler's data: expected clouds of at least {DENSITY * n_points} points, "
                f"found {len(example.points)}"
            )
        all_points, all_colors = window(example, DENSITY * n_points, rng)
        spread = rng.uniform(0, settings.jitter)
        points = all_points[:n_points] + rng.normal(0, spread, (n_points, 3)).astype(np.float32)
        colors = all_colors[:n_points] + rng.normal(0, 3 * spread, (n_points, 3)).astype(np.float32)
        dense, dense_colors = all_points[n_points:], all_colors[n_points:]
        tree, dense_tree = cKDTree(points), cKDTree(dense)
        groups = cells(points, shape.anchors)
        for i in rng.choice(len(groups), min(settings.cells, len(groups)), replace=False):
            cell = np.resize(groups[i], shape.anchors)
            context = surroundings(tree, points, groups[i], shape)
            frame = CellFrame.around(points[context])
            near = dense_tree.query(points[cell], k=max(NEAR, shape.children))[1]
            child = rng.permuted(near, axis=1)[:, : shape.children].ravel()
            parent = frame.to_local(points[cell], colors[cell]).repeat(shape.children, axis=1)
            x0 = offsets(frame.to_local(dense[child], dense_colors[child]), parent, shape)
            yield x0, parent, frame.to_local(points[context], colors[context])


RECIPES.register("pocket-up")(
    Recipe(
        UpsamplerTaskConfig(
            PointTransformerConfig(
                width=192,
                layers=6,
                heads=3,
                input_channels=12,
                output_channels=6,
                time_as_token=False,
                low_res=True,
                position_bands=6,
            )
        ),
        Settings(phases=(Phase(until=1.0, batch=4, examples=UpsamplerExamples(n_points=1024)),), optimizer="muon"),
        minutes=45,
    )
)
