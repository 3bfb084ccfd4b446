"""The task of the upsampler: a coarse patch of a cloud becomes a dense one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.datagen.pool import Pool
from enpointe.diffusion.loss import velocity_loss
from enpointe.diffusion.schedule import VelocityProcess
from enpointe.geometry.plot import splat
from enpointe.geometry.point_cloud import PointCloud
from enpointe.models.config import PointTransformerConfig
from enpointe.pipeline.patches import PatchFrame, PatchShape, upsample
from enpointe.training.levels import normal_levels
from enpointe.training.task import Batch, Losses

PATCHES = 4
"""Patches cut from one cloud; making the cloud costs more than cutting it."""


class UpsamplerTask:
    """Velocity prediction of a patch's new points, given its coarse ones.

    The coarse points are a random subset of the dense cloud, a little displaced and discoloured:
    what the upsampler meets later was made by a network.
    """

    name = "pocket-up"

    def __init__(
        self,
        pool: Pool,
        config: PointTransformerConfig,
        *,
        shape: PatchShape | None = None,
        jitter: float = 0.01,
        process: VelocityProcess | None = None,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self._shape = shape or PatchShape()
        self.network: nn.Module = config.build()
        self.network_info: dict[str, Any] = {
            "kind": "point_transformer",
            "config": {**vars(config)},
            "prediction": "velocity",
            "patch": {**vars(self._shape)},
        }
        self._pool, self._jitter = pool, jitter
        self._process = process or VelocityProcess(std=1.2)
        self._training, self._held_out = pool.split()

    def batch(self, rng: np.random.Generator, n: int, n_points: int, *, training: bool) -> Batch:
        """Patches: x0 and noise (n, 6, fine), low_res (n, 6, coarse), sigma (n,); clouds have 4 * n_points points."""
        options = self._training if training else self._held_out
        low_res: list[NDArray[np.float32]] = []
        x0: list[NDArray[np.float32]] = []
        while len(x0) < n:
            example = self._pool.draw(int(rng.choice(options)), n_points * (1 + self._shape.ratio), rng)
            spread = rng.uniform(0, self._jitter)
            points = example.points[:n_points] + rng.normal(0, spread, (n_points, 3)).astype(np.float32)
            colors = example.colors[:n_points] + rng.normal(0, 3 * spread, (n_points, 3)).astype(np.float32)
            fine_points, fine_colors = example.points[n_points:], example.colors[n_points:]
            for centre in points[rng.choice(n_points, PATCHES, replace=False)]:
                near = _nearest(points, centre, self._shape.coarse)
                fine = _nearest(fine_points, centre, self._shape.fine)
                frame = PatchFrame.around(points[near])
                low_res.append(frame.to_local(points[near], colors[near]))
                x0.append(frame.to_local(fine_points[fine], fine_colors[fine]))
        stacked = torch.from_numpy(np.stack(x0[:n]))
        return {
            "x0": stacked,
            "low_res": torch.from_numpy(np.stack(low_res[:n])),
            "noise": torch.from_numpy(rng.standard_normal(stacked.shape, dtype=np.float32)),
            "sigma": self._process.training_sigmas(normal_levels(rng, n)),
        }

    def prepare(self, batch: Batch) -> Batch:
        """Nothing to prepare."""
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error of the velocity; the level is the angle on the VP circle as a part of pi/2."""
        sigma = batch["sigma"]
        value = velocity_loss(network, batch["x0"], sigma, batch["noise"], low_res=batch["low_res"])
        return Losses(value, torch.atan(sigma) * 2 / math.pi)

    def picture(self, network: nn.Module) -> NDArray[np.uint8]:
        """Held-out clouds of 1,024 points above the same with 4,096."""
        rng = np.random.default_rng(0)
        columns = []
        for index in rng.choice(self._held_out, 6, replace=False):
            example = self._pool.draw(int(index), 1024, rng)
            cloud = PointCloud(example.points, example.colors)
            dense = upsample(network, cloud, 4096, seed=0, shape=self._shape, device=next(network.parameters()).device)
            columns.append(np.concatenate([splat(c.points, c.colors, 35, size=200) for c in (cloud, dense)]))
        return np.concatenate(columns, axis=1)


def _nearest(points: NDArray[np.float32], centre: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Indices of the n points (p, 3) nearest to a centre (3,)."""
    return np.argpartition(((points - centre) ** 2).sum(1), n - 1)[:n]
