"""The released models: a text or an image becomes 1,024 points, these become 4,096, these become a mesh.

As in Point-E (arXiv 2212.08751, section 4), with the released networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enpointe.checkpoints.registry import ModelSpec
from enpointe.checkpoints.released import RELEASED
from enpointe.core.checks import MAX_SEED, USUAL_POINTS, size_after, whole
from enpointe.core.precision import find_dtype
from enpointe.core.progress import ProgressCallback, shown
from enpointe.core.prompt import check_prompt
from enpointe.diffusion.sampler import options_of
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.geometry.subsample import farthest_point
from enpointe.meshing.surface import surface
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.base import Drawn, ImageInput, Pipeline, Request, Settings
from enpointe.pipelines.families.point_e import conditions
from enpointe.pipelines.families.point_e.conditions import Conditions
from enpointe.pipelines.families.point_e.drawing import (
    COARSE_POINTS,
    batch_that_fits,
    coarse_clouds,
    dense_clouds,
    released_stage,
)
from enpointe.pipelines.families.point_e.members import ReleasedMembers
from enpointe.pipelines.families.point_e.presets import PRESETS, ReleasedPreset, Sampling
from enpointe.pipelines.families.point_e.stages import CloudStage


class PointEPipeline(Pipeline):
    """A released model on one device; see `Pipeline`. Networks are downloaded, if need be, when they are first needed.

    Args:
        spec: of the base model.
        preset: "fast" or "reference", the release's own settings.
        batch: clouds drawn at a time; by default 1 on a CPU, where more are no faster, else as many as
            fit into the device's memory, at most 16.
        dtype: of the point networks; by default the preset's: the faster one, or float32 for "reference".
        members: makes the networks' loader, of the arguments of `ReleasedMembers`.
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
        members: Callable[..., ReleasedMembers] = ReleasedMembers,
    ) -> None:
        self._make_members = members
        super().__init__(spec, device, preset, batch=batch, dtype=dtype, weights=weights)

    @property
    def sampling(self) -> ReleasedPreset:
        """The preset's settings."""
        return PRESETS[self.name][self.preset]

    def _reset(self) -> None:
        self._members = self._make_members(self.name, self.device, dtype=self.dtype, path=self._weights)

    def _usual_batch(self) -> int:
        return batch_that_fits(self.name, self.device)

    def _usual_dtype(self) -> torch.dtype:
        return find_dtype(self.sampling.dtype, self.device)

    @property
    def hashes(self) -> dict[str, str]:
        return self._members.hashes

    @property
    def samplers(self) -> tuple[str, ...]:
        return tuple(SAMPLERS)

    @property
    def defaults(self) -> Settings:
        base = self.sampling.base
        return Settings(USUAL_POINTS, base.steps, base.guidance_scale, base.sampler)

    def prompt_warnings(self, prompt: str) -> list[str]:
        """A line where the prompt is longer than CLIP reads; CLIP's vocabulary is open."""
        clip = self._members.clip
        n_tokens = clip.n_tokens(check_prompt(prompt))
        if n_tokens <= clip.max_tokens:
            return []
        return [f"the prompt has {n_tokens} tokens; only the first {clip.max_tokens} are read"]

    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        self._members.report = report
        conditions.check_images(_images(requests))
        _ = self._members.base
        if settings.n_points > COARSE_POINTS:
            _ = self._members.up
        # Last, for CLIP is the largest: faults of images and weights are reported before it is read.
        if self.spec.inputs:
            _ = self._members.clip

    def _generate(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> Drawn:
        seeds, n_points = [request.seed for request in requests], settings.n_points
        base = self._stage(self._members.base, self.name, self._sampling(settings))
        up = self._upsampler if n_points > COARSE_POINTS else None
        began = time.perf_counter()
        known = self._conditions(requests, grid=up is not None)
        clouds = coarse_clouds(base, known, seeds, self.device, self.batch, report)
        sampled = time.perf_counter()
        if up is not None:
            clouds = dense_clouds(up, clouds, known, seeds, n_points, self.device, self.batch, report)
        done = time.perf_counter()
        return Drawn(
            [_to_cloud(cloud[:, :n_points]) for cloud in clouds],
            {} if up is None else _upsample_settings(self.sampling.upsampler),
            {"cloud": sampled - began, "upsample": done - sampled},
        )

    def upsample(
        self,
        cloud: PointCloud,
        *,
        n_points: int = USUAL_POINTS,
        seed: int = 0,
        image: ImageInput | None = None,
        progress: bool | ProgressCallback = True,
    ) -> PointCloud:
        """See `Pipeline.upsample`; of more than 1,024 points the network sees so many, evenly spread.

        Args:
            image: what the cloud was generated from, if that was an image.
        """
        seed = whole("seed", seed, 0, MAX_SEED)
        n_points = size_after(n_points, len(cloud))
        unit, frame = cloud.normalized()
        if n_points == len(cloud):
            return PointCloud(cloud.points, cloud.colors)
        if len(unit) > COARSE_POINTS:
            unit = unit.select(farthest_point(unit.points, COARSE_POINTS, start=0))
        known = conditions.of_nothing(1)
        if image is not None:
            conditions.check_images([image])
            known = conditions.of_images([image], self._members.clip, vector=False, grid=True)
        coarse = torch.from_numpy(np.concatenate([unit.points, unit.colors * 255], axis=1).T)[None]
        n_new = n_points - len(cloud)
        with shown(progress) as report:
            self._members.report = report
            (drawn,) = dense_clouds(
                self._upsampler, coarse, known, [seed], len(unit) + n_new, self.device, self.batch, report
            )
        new = _to_cloud(drawn[:, len(unit) :])
        # Not all of them back from the unit frame: the cloud's own would be rounded.
        points = np.concatenate([cloud.points, frame.to_world(new.points)])
        return PointCloud(points, np.concatenate([cloud.colors, new.colors]))

    def mesh(
        self,
        cloud: PointCloud,
        *,
        grid_size: int = 128,
        keep_small_pieces: bool = False,
        dense: bool = False,
        progress: bool | ProgressCallback = True,
    ) -> Mesh:
        """See `Pipeline.mesh`; the preset "reference" always keeps small pieces and asks every sample."""
        with shown(progress) as report:
            self._members.report = report
            return surface(
                self._members.sdf,
                cloud,
                self.device,
                grid_size=grid_size,
                keep_small_pieces=keep_small_pieces or self.sampling.keep_small_pieces,
                method="dense" if dense else self.sampling.method,
                dtype=self.dtype,
                color_neighbors=self.sampling.color_neighbors,
                report=report,
            )

    @property
    def _upsampler(self) -> CloudStage:
        return self._stage(self._members.up, "upsample", self.sampling.upsampler)

    def _stage(self, network: PointTransformer, name: str, sampling: Sampling) -> CloudStage:
        return released_stage(network, name, sampling, self.sampling, dtype=self.dtype)

    def _sampling(self, settings: Settings) -> Sampling:
        """The base stage's: the preset's, with these settings, and those of its sampler's options that theirs has."""
        base, known = self.sampling.base, options_of(settings.sampler)
        return replace(
            base,
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            sampler=settings.sampler,
            options={name: value for name, value in base.options.items() if name in known},
        )

    def _conditions(self, requests: Sequence[Request], *, grid: bool) -> Conditions:
        texts = [request.prompt for request in requests if request.prompt is not None]
        if texts:
            return conditions.of_texts(texts, self._members.clip)
        images = _images(requests)
        if not images:
            return conditions.of_nothing(len(requests))
        vector = bool(RELEASED[self.name].config.vector)
        return conditions.of_images(images, self._members.clip, vector=vector, grid=grid or not vector)


def _images(requests: Sequence[Request]) -> list[ImageInput]:
    return [request.image for request in requests if request.image is not None]


def _upsample_settings(sampling: Sampling) -> dict[str, Any]:
    """For a file's provenance."""
    return {f"upsample_{name}": getattr(sampling, name) for name in ("steps", "guidance_scale", "sampler")}


def _to_cloud(sample: Tensor) -> PointCloud:
    """World units (6, n) -> a cloud, in the release's frame, which is about the unit frame."""
    return PointCloud(sample[:3].T.numpy(), (sample[3:].T / 255).clamp(0, 1).numpy())
