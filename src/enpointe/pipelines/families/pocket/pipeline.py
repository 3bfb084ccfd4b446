"""The embedded family: a prompt becomes 1,024 points, these become 4,096, these become a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enpointe.checkpoints.registry import ModelSpec
from enpointe.core.checks import MAX_SEED, size_after, whole
from enpointe.core.precision import dtype_name, fast_dtype
from enpointe.core.progress import Progress, ProgressCallback, shown
from enpointe.core.prompt import check_prompt
from enpointe.diffusion.denoiser import VelocityDenoiser
from enpointe.diffusion.guidance import Guidance
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.diffusion.schedule import KarrasSchedule
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.surface import surface
from enpointe.pipelines.base import Pipeline, Request, Settings
from enpointe.pipelines.batching import in_batches
from enpointe.pipelines.families.pocket.members import Members
from enpointe.pipelines.families.pocket.upsampling import upsample
from enpointe.pipelines.stage import Stage

BASE_POINTS = 1024
SIGMA_MIN, SIGMA_MAX = 0.01, 60.0
"""The noise levels between which the embedded base model samples, data being at about unit scale."""

SHAPE_GUIDANCE = 0.2
"""Positions are guided so much less than colors: strong guidance takes away the thin parts that many families have,
such as the legs of tables, and colors want it."""
NOISE_LIMIT = 2.3
"""Larger starting noise is cut to this many standard deviations (as in Brock et al. 2018, arXiv 1809.11096, section
3.1): the few points that begin farther out end as strays."""


@dataclass(frozen=True)
class Preset:
    """Settings of the base stage that a user did not name; how they were chosen: assets/README.md."""

    steps: int = 16
    guidance_scale: float = 2.5
    sampler: str = "dpmpp"
    upsample_steps: int = 6


class PocketPipeline(Pipeline):
    """The embedded family on one device; see `Pipeline`.

    Args:
        spec: of "pocket".
        preset: its name.
        sampling: settings that are not named in a call, where they are not the preset's.
        batch: clouds that the base model draws at a time; by default 1 on a CPU, where more are no
            faster, else 16.
        dtype: of the base model; by default the faster one on a CPU, else float32. The rounding of bfloat16 changes
            with a batch's size, so that with several at a time a sample would depend on its neighbors.
        weights: a file of the base model, where it is not the embedded one.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: torch.device,
        preset: str = "fast",
        *,
        sampling: Preset | None = None,
        batch: int | None = None,
        dtype: torch.dtype | None = None,
        weights: Path | None = None,
    ) -> None:
        self.spec = spec
        self.device = device
        self.preset = preset
        self.sampling = sampling or Preset()
        self._batch, self._dtype, self._weights = batch, dtype, weights
        self._reset()

    def _reset(self) -> None:
        on_cpu = self.device.type == "cpu"
        self.batch = self._batch or (1 if on_cpu else 16)
        self._members = Members(self.device, self._weights)

    @property
    def dtype(self) -> torch.dtype:
        if self._dtype is not None:
            return self._dtype
        return fast_dtype(self.device) if self.device.type == "cpu" else torch.float32

    @property
    def hashes(self) -> dict[str, str]:
        return self._members.hashes

    @property
    def samplers(self) -> tuple[str, ...]:
        return samplers_in("karras")

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: getattr(self.sampling, name) for name in ("steps", "guidance_scale", "sampler")}

    def prompt_warnings(self, prompt: str) -> list[str]:
        return self._members.vocabulary.warnings(check_prompt(prompt))

    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        _ = self._members.encoder, self._members.base
        if settings.n_points > BASE_POINTS:
            _ = self._members.up

    def _generate(
        self, requests: Sequence[Request], settings: Settings, report: ProgressCallback
    ) -> tuple[list[PointCloud], dict[str, Any]]:
        chosen = {
            name: value if (value := getattr(settings, name)) is not None else default
            for name, default in self.defaults.items()
        }
        n_points, seeds = settings.n_points, [request.seed for request in requests]
        began = time.perf_counter()
        coarse: list[PointCloud] = []
        for part, tell in in_batches(len(requests), self.batch, "cloud", chosen["steps"], report):
            coarse += self._sample(requests[part], min(n_points, BASE_POINTS), tell, **chosen)
        sampled = time.perf_counter()
        clouds = coarse if n_points <= BASE_POINTS else self._upsample_all(coarse, n_points, seeds, report)
        done = time.perf_counter()
        return clouds, {
            "settings": {
                "n_points": n_points,
                **chosen,
                **({"upsample_steps": self.sampling.upsample_steps} if n_points > BASE_POINTS else {}),
                "device": self.device.type,
                "dtype": dtype_name(self.dtype),
            },
            "seconds": {
                "cloud": round((sampled - began) / len(requests), 3),
                "upsample": round((done - sampled) / len(requests), 3),
            },
        }

    def upsample(
        self, cloud: PointCloud, *, n_points: int = 4096, seed: int = 0, progress: bool | ProgressCallback = True
    ) -> PointCloud:
        seed = whole("seed", seed, 0, MAX_SEED)
        n_points = size_after(n_points, len(cloud))
        network, shape = self._members.up
        unit, frame = cloud.normalized()
        with shown(progress) as report:
            dense = upsample(
                network,
                unit,
                n_points,
                seed=seed,
                shape=shape,
                steps=self.sampling.upsample_steps,
                device=self.device,
                progress=lambda done, total: report(Progress("upsample", done, total)),
            )
        # Not all of them back from the unit frame: the cloud's own would be rounded.
        points = np.concatenate([cloud.points, frame.to_world(dense.points[len(cloud) :])])
        return PointCloud(points, dense.colors)

    def mesh(
        self,
        cloud: PointCloud,
        *,
        grid_size: int = 128,
        keep_small_pieces: bool = False,
        dense: bool = False,
        progress: bool | ProgressCallback = True,
    ) -> Mesh:
        with shown(progress) as report:
            return surface(
                self._members.sdf,
                cloud,
                self.device,
                grid_size=grid_size,
                keep_small_pieces=keep_small_pieces,
                method="dense" if dense else "sparse",
                report=report,
            )

    def _upsample_all(
        self, coarse: Sequence[PointCloud], n_points: int, seeds: Sequence[int], report: ProgressCallback
    ) -> list[PointCloud]:
        clouds = []
        for i, (cloud, seed) in enumerate(zip(coarse, seeds, strict=True)):
            # Clouds of one size get as many new points each.
            def tell(one: Progress, before: int = i) -> None:
                report(Progress("upsample", before * one.total + one.done, len(coarse) * one.total))

            clouds.append(self.upsample(cloud, n_points=n_points, seed=seed, progress=tell))
        return clouds

    @torch.inference_mode()
    def _sample(
        self,
        requests: Sequence[Request],
        n_points: int,
        tell: Callable[[int], None],
        *,
        steps: int,
        guidance_scale: float,
        sampler: str,
    ) -> list[PointCloud]:
        network, n_tokens = self._members.base
        tokens = self._members.encoder.condition([request.prompt or "" for request in requests], n_tokens)
        shape_scale = 1 + SHAPE_GUIDANCE * (guidance_scale - 1) if guidance_scale else 1.0
        stage = Stage(
            VelocityDenoiser(network),
            make_sampler(sampler),
            KarrasSchedule(SIGMA_MIN, SIGMA_MAX),
            steps,
            (6, n_points),
            Guidance(guidance_scale, leading_scale=shape_scale),
            noise_limit=NOISE_LIMIT,
            dtype=self.dtype,
        )
        noise = SeededNoise([request.seed for request in requests], self.device)
        for step in stage.run({"grids": {"text": tokens}}, noise, n_samples=len(requests)):
            tell(step.i)
        return [_to_cloud(sample) for sample in step.x.float().cpu()]


def _to_cloud(sample: Tensor) -> PointCloud:
    """Model units (6, n) -> a cloud in the unit frame."""
    points, colors = sample[:3].T / 2, (sample[3:].T + 1).clamp(0, 2) / 2
    return PointCloud(points.numpy(), colors.numpy()).normalized()[0]
