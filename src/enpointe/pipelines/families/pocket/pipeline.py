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

from enpointe import __version__
from enpointe.core.checks import MAX_POINTS, MAX_SEED, MIN_POINTS, number, seeds_for, several, size_after, whole
from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.core.prompt import check_prompt
from enpointe.diffusion.denoiser import VelocityDenoiser
from enpointe.diffusion.guidance import Guided, unconditional
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.diffusion.schedule import KarrasSchedule
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.surface import surface
from enpointe.pipelines.families.pocket.members import Members
from enpointe.pipelines.families.pocket.upsampling import upsample
from enpointe.pipelines.inputs import check_inputs
from enpointe.pipelines.result import Result, in_batches

BASE_POINTS = 1024
SIGMA_MIN, SIGMA_MAX = 0.01, 60.0
"""The noise levels between which the embedded base model samples, data being at about unit scale."""

SHAPE_GUIDANCE = 0.2
"""Positions are guided so much less than colours: strong guidance takes away the thin parts that many families have,
such as the legs of tables, and colours want it."""
NOISE_LIMIT = 2.3
"""Larger starting noise is cut to this many standard deviations (as in Brock et al. 2018, arXiv 1809.11096, section
3.1): the few points that begin farther out end as strays."""


@dataclass(frozen=True)
class Preset:
    """Settings of the base stage that a user did not name; how they were chosen: assets/README.md."""

    steps: int = 16
    guidance: float = 2.5
    sampler: str = "dpmpp"
    upsample_steps: int = 6


class Pipeline:
    """The embedded family on one device. Each network is read when it is first needed.

    Args:
        name: "pocket".
        device: where it runs.
        preset: settings that are not named in a call.
        batch: clouds that the base model draws at a time; by default 1 on a CPU, where more are no
            faster, else 16.
        half: whether the base model runs in bfloat16; by default on a CPU only. Its rounding changes
            with a batch's size, so that with several at a time a sample would depend on its neighbours.
        weights: a file of the base model, where it is not the embedded one.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        preset: Preset | None = None,
        *,
        batch: int | None = None,
        half: bool | None = None,
        weights: Path | None = None,
    ) -> None:
        on_cpu = device.type == "cpu"
        self.name = name
        self.device = device
        self.preset = preset or Preset()
        self.batch = (1 if on_cpu else 16) if batch is None else batch
        self.half = on_cpu if half is None else half
        self._members = Members(device, weights)

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file read so far: "text" (the encoder), "base", "up", "sdf"."""
        return self._members.weights

    def generate(self, prompt: str, *, seed: int = 0, **settings: Any) -> Result:
        """One cloud from one prompt; settings as in `generate_many`."""
        return self.generate_many([prompt], [seed], **settings)[0]

    def generate_many(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        pictures: Sequence[object] | None = None,
        n_points: int = 4096,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> list[Result]:
        """A cloud from each prompt with its seed.

        A sample depends on its own prompt and seed only, not on what it is made together with.

        Args:
            prompts, seeds: of one length; a seed is 0 <= seed < 2**63.
            pictures: none: this family draws from texts.
            n_points: points of each cloud, 64 to 65,536; up to 1,024 come from the base model alone.
            steps: of the base model's sampler, 1 to 1,000.
            guidance: guidance scale of colours, 0 to 100, of which positions get a fifth; 1 is plain conditional,
                and so is 0.
            sampler: a sampler's name, "ddpm" not among them.
            progress: told of every step.

        Raises:
            InputError: an argument is out of range. WeightsError: a file is missing or damaged. Both
                come before anything is drawn.
        """
        check_inputs(self.name, text=True, picture=bool(pictures))
        texts = [check_prompt(prompt) for prompt in several("prompts", prompts)]
        seeds = seeds_for(seeds, len(texts), "prompts")
        n_points = whole("n_points", n_points, MIN_POINTS, MAX_POINTS)
        preset = self.preset
        steps = whole("steps", preset.steps if steps is None else steps, 1, 1000)
        guidance = number("guidance", preset.guidance if guidance is None else guidance, 0, 100)
        sampler = _checked_sampler(preset.sampler if sampler is None else sampler)
        report = progress or no_progress
        began = time.perf_counter()
        _ = self._members.encoder, self._members.base
        if n_points > BASE_POINTS:
            _ = self._members.up
        loaded = time.perf_counter()
        coarse: list[PointCloud] = []
        for part, tell in in_batches(len(texts), self.batch, "cloud", steps, report):
            coarse += self._sample(texts[part], seeds[part], min(n_points, BASE_POINTS), steps, guidance, sampler, tell)
        sampled = time.perf_counter()
        clouds = coarse if n_points <= BASE_POINTS else self._upsample_all(coarse, n_points, seeds, report)
        done = time.perf_counter()
        share = 1 / len(texts)
        meta = {
            "enpointe": __version__,
            "model": self.name,
            "weights": self.weights,  # shared: the mesh adds its own later
            "settings": {
                "n_points": n_points,
                "steps": steps,
                "guidance": guidance,
                "sampler": sampler,
                **({"upsample_steps": preset.upsample_steps} if n_points > BASE_POINTS else {}),
                "device": self.device.type,
            },
            "seconds": {
                "load": round(loaded - began, 3),
                "cloud": round((sampled - loaded) * share, 3),
                "upsample": round((done - sampled) * share, 3),
            },
        }
        return [
            Result(text, seed, cloud, dict(meta), self) for text, seed, cloud in zip(texts, seeds, clouds, strict=True)
        ]

    def upsample(
        self, cloud: PointCloud, *, n_points: int = 4096, seed: int = 0, progress: ProgressCallback | None = None
    ) -> PointCloud:
        """The cloud with new points between its own, up to `n_points`; its own points stay as they are.

        Args:
            cloud: in any frame, with at least two points apart. Its channels are left out: new points have none.
            n_points: from as many as the cloud has to 65,536.
            seed: 0 <= seed < 2**63.
            progress: told how many new points are drawn.

        Raises:
            InputError: too few points in, or too many or too few wanted.
        """
        seed = whole("seed", seed, 0, MAX_SEED)
        n_points = size_after(n_points, len(cloud))
        network, shape = self._members.up
        report = progress or no_progress
        unit, frame = cloud.normalized()
        dense = upsample(
            network,
            unit,
            n_points,
            seed=seed,
            shape=shape,
            steps=self.preset.upsample_steps,
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
        progress: ProgressCallback | None = None,
    ) -> Mesh:
        """The cloud's surface, coloured by its nearest points, faces outward, watertight.

        Args:
            cloud: in any frame.
            grid_size: samples along each axis of the grid that the surface is found on.
            keep_small_pieces: keep pieces with less than a fiftieth of the largest one's area.
            dense: ask every sample of the grid, as the release does, instead of those near the surface.

        Raises:
            MeshError: the network sees no closed surface in this cloud.
        """
        return surface(
            self._members.sdf,
            cloud,
            self.device,
            grid_size=grid_size,
            keep_small_pieces=keep_small_pieces,
            method="dense" if dense else "sparse",
            report=progress or no_progress,
        )

    def warnings_for(self, prompt: str) -> list[str]:
        """What a user should know before this prompt is tried: one line each."""
        text = check_prompt(prompt)
        return self._members.vocabulary.warnings(text)

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
        texts: Sequence[str],
        seeds: Sequence[int],
        n_points: int,
        steps: int,
        guidance: float,
        sampler: str,
        tell: Callable[[int], None],
    ) -> list[PointCloud]:
        network, n_tokens = self._members.base
        tokens = self._members.encoder.condition(texts, n_tokens)
        cond = {"grids": {"text": tokens}}
        shape = 1 + SHAPE_GUIDANCE * (guidance - 1) if guidance else 1.0
        denoiser = Guided(
            VelocityDenoiser(network), cond, unconditional(cond), guidance_scale=guidance, leading_scale=shape
        )
        noise = SeededNoise(seeds, self.device)
        sigmas = KarrasSchedule(SIGMA_MIN, SIGMA_MAX)(steps)
        x = noise((len(texts), 6, n_points)).clamp(-NOISE_LIMIT, NOISE_LIMIT) * float(sigmas[0])
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            for step in make_sampler(sampler)(denoiser, x, sigmas, noise=noise):
                tell(step.i)
                x = step.x
        return [_to_cloud(sample) for sample in x.float().cpu()]


def _checked_sampler(name: str) -> str:
    """The name; InputError where it is not that of a sampler on any noise levels: no discrete process is trained."""
    if name not in samplers_in("karras"):
        raise InputError(f"sampler of pocket: expected one of {', '.join(samplers_in('karras'))}, found {name!r}")
    return name


def _to_cloud(sample: Tensor) -> PointCloud:
    """Model units (6, n) -> a cloud in the unit frame."""
    points, colors = sample[:3].T / 2, (sample[3:].T + 1).clamp(0, 2) / 2
    return PointCloud(points.numpy(), colors.numpy()).normalized()[0]
