"""The embedded family: a prompt becomes 1,024 points, these become 4,096, these become a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from enpointe.checkpoints.registry import ModelSpec
from enpointe.core.checks import MAX_SEED, USUAL_POINTS, size_after, whole
from enpointe.core.precision import fast_dtype
from enpointe.core.progress import Progress, ProgressCallback, shown
from enpointe.core.prompt import check_prompt
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import samplers_in
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.surface import surface
from enpointe.pipelines.base import Drawn, Pipeline, Request, Settings
from enpointe.pipelines.batching import in_batches
from enpointe.pipelines.families.pocket.base_stage import BASE_POINTS, Preset
from enpointe.pipelines.families.pocket.members import Members
from enpointe.pipelines.families.pocket.upsampling import upsample


class PocketPipeline(Pipeline):
    """The embedded family on one device; see `Pipeline`.

    Args:
        spec: of "pocket".
        dtype: of all networks; by default the base model's is the faster one on a CPU, else float32 (the rounding of
            bfloat16 changes with a batch's size, so that with several at a time a sample would depend on its
            neighbors), and the others' the faster one.
        sampling: settings that are not named in a call, where they are not the preset's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: torch.device,
        preset: str | None = None,
        *,
        batch: int | None = None,
        dtype: torch.dtype | None = None,
        weights: Path | None = None,
        sampling: Preset | None = None,
    ) -> None:
        self.sampling = sampling or Preset()
        super().__init__(spec, device, preset, batch=batch, dtype=dtype, weights=weights)

    def _reset(self) -> None:
        self._members = Members(self.device, self._weights)

    def _usual_dtype(self) -> torch.dtype:
        return fast_dtype(self.device) if self.device.type == "cpu" else torch.float32

    @property
    def hashes(self) -> dict[str, str]:
        return self._members.hashes

    @property
    def samplers(self) -> tuple[str, ...]:
        return samplers_in("karras")

    @property
    def defaults(self) -> Settings:
        preset = self.sampling
        return Settings(USUAL_POINTS, preset.steps, preset.guidance_scale, preset.sampler)

    def prompt_warnings(self, prompt: str) -> list[str]:
        return self._members.vocabulary(check_prompt(prompt)).warnings(prompt)

    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        for request in requests:
            self._members.drawing(request.prompt or "")
        if settings.n_points > BASE_POINTS:
            _ = self._members.up

    def _generate(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> Drawn:
        n_points, seeds = settings.n_points, [request.seed for request in requests]
        began = time.perf_counter()
        coarse: list[PointCloud] = []
        for part, tell in in_batches(len(requests), self.batch, "cloud", settings.steps, report):
            coarse += self._sample(requests[part], settings, tell)
        sampled = time.perf_counter()
        clouds = coarse if n_points <= BASE_POINTS else self._upsample_all(coarse, n_points, seeds, report)
        done = time.perf_counter()
        return Drawn(
            clouds,
            {"upsample_steps": self.sampling.upsample_steps} if n_points > BASE_POINTS else {},
            {"cloud": sampled - began, "upsample": done - sampled},
        )

    def upsample(
        self,
        cloud: PointCloud,
        *,
        n_points: int = USUAL_POINTS,
        seed: int = 0,
        progress: bool | ProgressCallback = True,
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
                dtype=self._dtype,
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
                dtype=self._dtype,
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
    def _sample(self, requests: Sequence[Request], settings: Settings, tell: Callable[[int], None]) -> list[PointCloud]:
        drawings = [self._members.drawing(request.prompt or "") for request in requests]
        clouds: dict[int, PointCloud] = {}
        for drawing in dict.fromkeys(drawings):
            rows = [i for i, one in enumerate(drawings) if one is drawing]
            prompts = [requests[i].prompt or "" for i in rows]
            tokens = self._members.encoder.condition(prompts, drawing.text_tokens)
            stage = drawing.stage(
                settings.n_points,
                steps=settings.steps,
                guidance_scale=settings.guidance_scale,
                sampler=settings.sampler,
                dtype=self.dtype,
            )
            noise = SeededNoise([requests[i].seed for i in rows], self.device)
            for step in stage.run({"grids": {"text": tokens}}, noise, n_samples=len(rows)):
                if drawing is drawings[-1]:
                    tell(step.i)
            for i, sample in zip(rows, step.x.float().cpu(), strict=True):
                clouds[i] = _to_cloud(sample, settings.n_points)
        return [clouds[i] for i in range(len(requests))]


def _to_cloud(sample: Tensor, n_points: int) -> PointCloud:
    """Model units (6, n) -> a cloud in the unit frame, of at most so many points."""
    points, colors = sample[:3].T / 2, (sample[3:].T + 1).clamp(0, 2) / 2
    cloud = PointCloud(points.numpy(), colors.numpy())
    if n_points < len(cloud):
        # In kd order, so that these are spread evenly; and other than farthest points they hang on no rounding.
        cloud = cloud.select(np.arange(n_points) * len(cloud) // n_points)
    return cloud.normalized()[0]
