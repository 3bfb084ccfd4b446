"""What a user calls: a prompt becomes 1,024 points, these become 4,096, these become a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from enpointe import __version__
from enpointe.diffusion.denoiser import VelocityDenoiser
from enpointe.diffusion.guidance import Guided, unconditional
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.schedule import karras_sigmas
from enpointe.diffusion.solvers import solver
from enpointe.errors import InputError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.models.embedded import embedded_path, read_network, text_encoder
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer
from enpointe.pipeline.device import find_device, keep_freed_memory
from enpointe.pipeline.field import sdf_field
from enpointe.pipeline.meshing import mesh_from_field
from enpointe.pipeline.patches import PatchShape, upsample
from enpointe.pipeline.vocabulary import Vocabulary
from enpointe.prompt import check_prompt

MODELS = ("pocket",)
BASE_POINTS = 1024
MIN_POINTS, MAX_POINTS = 64, 65_536
SIGMA_MIN, SIGMA_MAX = 0.01, 60.0
"""The noise levels between which the embedded base model samples, data being at about unit scale."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` steps."""

    stage: Literal["cloud", "upsample", "mesh"]
    done: int
    total: int


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Preset:
    """Settings of the base stage that a user did not name; measured in benchmarks/."""

    steps: int = 16
    guidance: float = 3.0
    sampler: str = "dpmpp"
    upsample_steps: int = 8


@dataclass(frozen=True)
class Result:
    """A generated cloud, what it came from, and how to have its mesh."""

    prompt: str
    seed: int
    cloud: PointCloud
    meta: dict[str, Any] = field(repr=False)
    _pipeline: Pipeline = field(repr=False)

    def mesh(self, grid_size: int = 128) -> Mesh:
        """The cloud's surface; see `Pipeline.mesh`."""
        return self._pipeline.mesh(self.cloud, grid_size=grid_size)


class Pipeline:
    """The embedded family on one device. Each network is read when it is first needed.

    Args:
        name: "pocket".
        device: where it runs.
        preset: settings that are not named in a call.
    """

    def __init__(self, name: str, device: torch.device, preset: Preset | None = None) -> None:
        self.name = name
        self.device = device
        self.preset = preset or Preset()
        self.weights: dict[str, str] = {}
        """SHA-256 of every weight file read so far, by member."""

    def generate(self, prompt: str, *, seed: int = 0, **settings: Any) -> Result:
        """One cloud from one prompt; settings as in `generate_many`."""
        return self.generate_many([prompt], [seed], **settings)[0]

    def generate_many(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        n_points: int = 4096,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        progress: Report | None = None,
    ) -> list[Result]:
        """A cloud from each prompt with its seed.

        A sample depends on its own prompt and seed only, not on what it is made together with.

        Args:
            prompts, seeds: of one length.
            n_points: points of each cloud; up to 1,024 come from the base model alone.
            steps: of the base model's solver.
            guidance: guidance scale; 1 is plain conditional.
            sampler: "heun", "dpmpp", "ancestral" or "dpm2".
            progress: told of every step.

        Raises:
            InputError: an argument is out of range.
        """
        texts = [check_prompt(prompt) for prompt in prompts]
        if not texts or len(texts) != len(seeds):
            raise InputError(f"generate: expected as many seeds as prompts, found {len(seeds)} and {len(texts)}")
        _check_range("n_points", n_points, MIN_POINTS, MAX_POINTS)
        preset = self.preset
        steps = preset.steps if steps is None else steps
        guidance = preset.guidance if guidance is None else guidance
        sampler = preset.sampler if sampler is None else sampler
        _check_range("steps", steps, 1, 1000)
        _check_range("guidance", guidance, 0, 100)
        report = progress or _silent
        began = time.perf_counter()
        _ = self._base
        loaded = time.perf_counter()
        # One at a time on a CPU: a batch is no faster there, and a sample's rounding then cannot
        # depend on its neighbours. A GPU takes them together.
        size = 1 if self.device.type == "cpu" else 16
        coarse: list[PointCloud] = []
        for start in range(0, len(texts), size):
            part = slice(start, start + size)

            def tell(done: int, before: int = start, together: int = len(texts[part])) -> None:
                report(Progress("cloud", before * steps + done * together, len(texts) * steps))

            coarse += self._sample(texts[part], seeds[part], min(n_points, BASE_POINTS), steps, guidance, sampler, tell)
        sampled = time.perf_counter()
        clouds = []
        for i, (cloud, seed) in enumerate(zip(coarse, seeds, strict=True)):
            report(Progress("upsample", i, len(coarse)))
            clouds.append(self.upsample(cloud, n_points=n_points, seed=seed) if n_points > BASE_POINTS else cloud)
        report(Progress("upsample", len(coarse), len(coarse)))
        done = time.perf_counter()
        share = 1 / len(texts)
        meta = {
            "version": __version__,
            "model": self.name,
            "weights": self.weights,  # shared: the mesh adds its own later
            "settings": {
                "n_points": n_points,
                "steps": steps,
                "guidance": guidance,
                "sampler": sampler,
                "upsample_steps": preset.upsample_steps,
                "device": self.device.type,
            },
            "seconds": {
                "load": round(loaded - began, 3),
                "cloud": round((sampled - loaded) * share, 3),
                "upsample": round((done - sampled) * share, 3),
            },
        }
        return [Result(text, seed, cloud, meta, self) for text, seed, cloud in zip(texts, seeds, clouds, strict=True)]

    def upsample(
        self, cloud: PointCloud, *, n_points: int = 4096, seed: int = 0, progress: Report | None = None
    ) -> PointCloud:
        """The cloud with new points between its own, up to `n_points`; its own points stay as they are.

        Args:
            cloud: in any frame, with at least 128 points.

        Raises:
            InputError: too few points in, or too many or too few wanted.
        """
        network, info = self._up
        shape = PatchShape(**info["patch"])
        _check_range("n_points", n_points, len(cloud), MAX_POINTS)
        if len(cloud) < shape.coarse:
            raise InputError(f"upsample: expected a cloud of at least {shape.coarse} points, found {len(cloud)}")
        report = progress or _silent
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
        points = np.concatenate([cloud.points, frame.to_world(dense.points[len(cloud) :])])
        return PointCloud(points, dense.colors)

    def mesh(
        self,
        cloud: PointCloud,
        *,
        grid_size: int = 128,
        keep_small_pieces: bool = False,
        dense: bool = False,
        progress: Report | None = None,
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
        network, _ = self._sdf
        report = progress or _silent
        unit, frame = cloud.normalized()
        asked = 0

        def tell(n: int) -> None:
            nonlocal asked
            asked += n
            report(Progress("mesh", asked, 0))

        field_of_cloud = sdf_field(network, unit.points, self.device, progress=tell)
        mesh = mesh_from_field(
            field_of_cloud,
            unit,
            grid_size=grid_size,
            method="dense" if dense else "sparse",
            keep_small=keep_small_pieces,
        )
        report(Progress("mesh", max(asked, 1), max(asked, 1)))
        return Mesh(frame.to_world(mesh.vertices), mesh.faces, mesh.colors)

    def warnings_for(self, prompt: str) -> list[str]:
        """What a user should know before this prompt is tried: one line each."""
        text = check_prompt(prompt)
        encoder = text_encoder(self.device)
        return Vocabulary.embedded(encoder).warnings(text)

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
        network, info = self._base
        run = solver(sampler)
        half = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type in ("cpu", "cuda"))
        with half:
            tokens = text_encoder(self.device).condition(texts, info["text_tokens"]).float()
            cond = {"grids": {"text": tokens}}
            denoiser = Guided(VelocityDenoiser(network), cond, unconditional(cond), guidance_scale=guidance)
            noise = SeededNoise(seeds, self.device)
            sigmas = karras_sigmas(steps, SIGMA_MIN, SIGMA_MAX)
            x = noise((len(texts), 6, n_points)) * float(sigmas[0])
            for step in run(denoiser, x, sigmas, noise=noise):
                tell(step.i)
                x = step.x
        return [_to_cloud(sample) for sample in x.float().cpu()]

    @cached_property
    def _base(self) -> tuple[PointTransformer, dict[str, Any]]:
        return self._read("base", PointTransformer)

    @cached_property
    def _up(self) -> tuple[PointTransformer, dict[str, Any]]:
        return self._read("up", PointTransformer)

    @cached_property
    def _sdf(self) -> tuple[SDFTransformer, dict[str, Any]]:
        return self._read("sdf", SDFTransformer)

    def _read(self, member: str, cls: type[Any]) -> tuple[Any, dict[str, Any]]:
        kind = "sdf_transformer" if cls is SDFTransformer else "point_transformer"
        network, weights = read_network(embedded_path(member), kind)
        self.weights[member] = weights.sha256
        return network.to(self.device), weights.info


def load(name: str = "pocket", *, device: str = "auto") -> Pipeline:
    """A model by name.

    Args:
        name: "pocket", the family that comes with the package.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: no such model or device. DeviceError: the device is not there.
    """
    if name not in MODELS:
        raise InputError(f"model: expected one of {', '.join(MODELS)}, found {name!r}")
    keep_freed_memory()
    return Pipeline(name, find_device(device))


def _to_cloud(sample: Tensor) -> PointCloud:
    """Model units (6, n) -> a cloud in the unit frame."""
    points, colors = sample[:3].T / 2, (sample[3:].T + 1).clamp(0, 2) / 2
    return PointCloud(points.numpy(), colors.numpy()).normalized()[0]


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name}: expected {low} to {high}, found {value}")


def _silent(_: Progress) -> None:
    """Tells nobody."""
