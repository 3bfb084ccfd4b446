"""The released models: a text or a picture becomes 1,024 points, these become 4,096, these become a mesh.

As in Point-E (arXiv 2212.08751, section 4), with the released networks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enpointe import __version__
from enpointe.checkpoints.released import RELEASED
from enpointe.core.checks import MAX_POINTS, MAX_SEED, MIN_POINTS, number, seeds_for, several, size_after, whole
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.core.prompt import check_prompt
from enpointe.diffusion.sampler import options_of
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.geometry.subsample import farthest_point
from enpointe.meshing.surface import surface
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.families.point_e import conditions
from enpointe.pipelines.families.point_e.conditions import Conditions, Picture, picture_name
from enpointe.pipelines.families.point_e.drawing import (
    COARSE_POINTS,
    batch_that_fits,
    coarse_clouds,
    dense_clouds,
    released_stage,
)
from enpointe.pipelines.families.point_e.members import ReleasedMembers
from enpointe.pipelines.families.point_e.presets import PRESETS, Sampling
from enpointe.pipelines.inputs import MODELS, check_inputs
from enpointe.pipelines.result import Result
from enpointe.pipelines.stage import Stage


class ReleasedPipeline:
    """A released model on one device. Each network is read, and downloaded if need be, when it is first needed.

    Args:
        name: of the base model; see `inputs.MODELS` for what it draws from.
        preset: "fast" or "reference", the release's own settings.
        weights: a file of the base network, where it is not the one of that name.
        batch: clouds drawn at a time; by default 1 on a CPU, where more are no faster, else as many as
            fit into the device's memory, at most 16.
        members: where the networks come from.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        preset: str = "fast",
        *,
        weights: Path | None = None,
        batch: int | None = None,
        members: ReleasedMembers | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.preset_name = preset
        self.preset = PRESETS[name][preset]
        self.half = self.preset.half and device.type in ("cpu", "cuda")
        self.batch = batch_that_fits(name, device) if batch is None else batch
        self._members = members or ReleasedMembers(name, device, half=self.half, path=weights)

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file read so far: "base", "upsample", "sdf"."""
        return self._members.weights

    def generate(
        self, prompt: str | None = None, *, picture: Picture | None = None, seed: int = 0, **settings: Any
    ) -> Result:
        """One cloud, from a prompt, a picture or nothing, as the model wants; settings as in `generate_many`."""
        prompts, pictures = None if prompt is None else [prompt], None if picture is None else [picture]
        return self.generate_many(prompts, [seed], pictures=pictures, **settings)[0]

    def generate_many(
        self,
        prompts: Sequence[str] | None,
        seeds: Sequence[int],
        *,
        pictures: Sequence[Picture] | None = None,
        n_points: int = 4096,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> list[Result]:
        """A cloud from each prompt or picture with its seed.

        A sample depends on its own input and seed only, not on what it is made together with.

        Args:
            prompts: for a model that draws from texts, else None.
            seeds: one for each prompt or picture, 0 <= seed < 2**63.
            pictures: for a model that draws from pictures: pictures or paths of their files.
            n_points: points of each cloud, 64 to 65,536. Up to 1,024 come from the base model alone, up to
                4,096 from one run of the upsampler, and more from several runs around the same coarse points.
            steps, guidance, sampler: of the base stage: 1 to 1,000; 0 to 100; a sampler's name.
            progress: told of every step.

        Raises:
            InputError: an argument is out of range, or the model draws from something else.
            WeightsError: a file is missing or damaged. Both come before anything is drawn.
        """
        texts = [check_prompt(prompt) for prompt in several("prompts", prompts or [])]
        shown = several("pictures", pictures or [])
        check_inputs(self.name, text=bool(texts), picture=bool(shown))
        of = {"text": "prompts", "picture": "pictures", "nothing": "samples"}[MODELS[self.name]]
        seeds = seeds_for(seeds, len(texts) or len(shown) or None, of)
        n_points = whole("n_points", n_points, MIN_POINTS, MAX_POINTS)
        sampling = self._sampling(steps, guidance, sampler)
        self._members.report = report = progress or no_progress
        began = time.perf_counter()
        conditions.check_pictures(shown)
        base = self._stage(self._members.base, self.name, sampling)
        up = self._upsampler if n_points > COARSE_POINTS else None
        # Last, for CLIP is the largest: bad pictures and weights are told before it is read.
        known = self._conditions(texts, shown, len(seeds), grid=up is not None)
        loaded = time.perf_counter()
        clouds = coarse_clouds(base, known, seeds, self.device, self.batch, report)
        sampled = time.perf_counter()
        if up is not None:
            clouds = dense_clouds(up, clouds, known, seeds, n_points, self.device, self.batch, report)
        done = time.perf_counter()
        share = 1 / len(seeds)
        meta = {
            "enpointe": __version__,
            "model": self.name,
            "preset": self.preset_name,
            "weights": self.weights,  # shared: the mesh adds its own later
            "settings": {"n_points": n_points, "device": self.device.type, **_settings(sampling, "")}
            | ({} if up is None else _settings(self.preset.upsampler, "upsample_")),
            "seconds": {
                "load": round(loaded - began, 3),
                "cloud": round((sampled - loaded) * share, 3),
                "upsample": round((done - sampled) * share, 3),
            },
        }
        return [
            Result(
                texts[i] if texts else "",
                seed,
                _to_cloud(cloud[:, :n_points]),
                meta | ({"picture": picture_name(shown[i])} if shown else {}),
                self,
            )
            for i, (seed, cloud) in enumerate(zip(seeds, clouds, strict=True))
        ]

    def upsample(
        self,
        cloud: PointCloud,
        *,
        n_points: int = 4096,
        seed: int = 0,
        picture: Picture | None = None,
        progress: ProgressCallback | None = None,
    ) -> PointCloud:
        """The cloud with new points around its own, up to `n_points`; its own points stay as they are.

        Args:
            cloud: in any frame. Of more than 1,024 points the network sees so many, evenly spread. Its
                channels are left out: new points have none.
            n_points: from as many as the cloud has to 65,536.
            seed: 0 <= seed < 2**63.
            picture: what the cloud was made from, if that was a picture.
            progress: told of every step.

        Raises:
            InputError: too many points in, too many or too few wanted, or no picture that can be read.
        """
        seed = whole("seed", seed, 0, MAX_SEED)
        n_points = size_after(n_points, len(cloud))
        unit, frame = cloud.normalized()
        if n_points == len(cloud):
            return PointCloud(cloud.points, cloud.colors)
        if len(unit) > COARSE_POINTS:
            unit = unit.select(farthest_point(unit.points, COARSE_POINTS, start=0))
        known = conditions.of_nothing(1)
        if picture is not None:
            conditions.check_pictures([picture])
            known = conditions.of_pictures([picture], self._members.clip, vector=False, grid=True)
        coarse = torch.from_numpy(np.concatenate([unit.points, unit.colors * 255], axis=1).T)[None]
        n_new = n_points - len(cloud)
        self._members.report = report = progress or no_progress
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
        progress: ProgressCallback | None = None,
    ) -> Mesh:
        """The cloud's surface, coloured by its nearest points, faces outward, watertight.

        Args:
            cloud: in any frame.
            grid_size: samples along each axis of the grid that the surface is found on.
            keep_small_pieces: keep pieces with less than a fiftieth of the largest one's area.
            dense: ask every sample of the grid. The preset "reference" always does both.

        Raises:
            MeshError: the network sees no closed surface in this cloud.
        """
        self._members.report = report = progress or no_progress
        return surface(
            self._members.sdf,
            cloud,
            self.device,
            grid_size=grid_size,
            keep_small_pieces=keep_small_pieces or self.preset.keep_small_pieces,
            method="dense" if dense else self.preset.method,
            half=self.half,
            color_neighbors=self.preset.color_neighbors,
            report=report,
        )

    def warnings_for(self, prompt: str) -> list[str]:
        """What a user should know before this prompt is tried: nothing, CLIP's vocabulary is open."""
        check_prompt(prompt)
        return []

    @property
    def _upsampler(self) -> Stage:
        return self._stage(self._members.up, "upsample", self.preset.upsampler)

    def _stage(self, network: PointTransformer, name: str, sampling: Sampling) -> Stage:
        return released_stage(network, name, sampling, self.preset, half=self.half)

    def _sampling(self, steps: int | None, guidance: float | None, sampler: str | None) -> Sampling:
        """The base stage's settings: the preset's, but for those that are named."""
        preset = self.preset.base
        chosen = preset.sampler if sampler is None else sampler
        known = options_of(chosen)
        return replace(
            preset,
            steps=whole("steps", preset.steps if steps is None else steps, 1, 1000),
            guidance=number("guidance", preset.guidance if guidance is None else guidance, 0, 100),
            sampler=chosen,
            options={name: value for name, value in preset.options.items() if name in known},
        )

    def _conditions(self, texts: list[str], pictures: list[Picture], n: int, *, grid: bool) -> Conditions:
        if texts:
            return conditions.of_texts(texts, self._members.clip)
        if not pictures:
            return conditions.of_nothing(n)
        vector = bool(RELEASED[self.name].config.vector)
        return conditions.of_pictures(pictures, self._members.clip, vector=vector, grid=grid or not vector)


def _settings(sampling: Sampling, prefix: str) -> dict[str, Any]:
    """What a user may choose of a stage, for a file's provenance."""
    return {f"{prefix}{name}": getattr(sampling, name) for name in ("steps", "guidance", "sampler")}


def _to_cloud(sample: Tensor) -> PointCloud:
    """World units (6, n) -> a cloud, in the release's frame, which is about the unit frame."""
    return PointCloud(sample[:3].T.numpy(), (sample[3:].T / 255).clamp(0, 1).numpy())
