"""What solvers are compared on: a mixture of Gaussians with its exact denoiser, and the embedded networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from enpointe.checkpoints.embedded import embedded_path, read_network, text_encoder
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.diffusion.denoiser import Denoiser, ExpertDenoiser, FlowDenoiser, VelocityDenoiser
from enpointe.diffusion.guidance import Guidance, Guided, unconditional
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers.ancestral import Ancestral
from enpointe.diffusion.samplers.dpm2 import DPM2
from enpointe.diffusion.samplers.dpmpp import DPMpp
from enpointe.diffusion.samplers.heun import Heun
from enpointe.diffusion.samplers.unipc import UniPC
from enpointe.diffusion.schedule import KarrasSchedule, Level
from enpointe.nn.detail import Detail
from enpointe.nn.layout import Layout
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.families.pocket.base_stage import DETAIL_SIGMA, SIGMA_MAX, SIGMA_MIN, Preset
from enpointe.pipelines.families.pocket.upsampling import SIGMA_MAX as UP_SIGMA_MAX
from enpointe.pipelines.families.pocket.upsampling import SIGMA_MIN as UP_SIGMA_MIN
from enpointe.pipelines.families.pocket.upsampling import CellFrame, CellShape, anchored, cells, surroundings
from enpointe.pipelines.families.point_e.presets import PRESETS

PROMPTS = ("a red car", "a brown dog", "a green tree", "a white house with a red roof")

BASE_PRESET, UPSAMPLER_PRESET = PRESETS["base40M-textvec"]["fast"].base, PRESETS["base40M-textvec"]["fast"].upsampler
RELEASED_LEVELS = (1e-3, 120.0)
"""Between which the release's base models are sampled."""
NARROW = (0.02, 20.0)
LOG_EVEN = BASE_PRESET.rho
"""A rho of Karras' grid that is as good as even in log sigma."""


@dataclass(frozen=True)
class Method:
    """A sampler, and whether it draws no noise."""

    sampler: Sampler
    exact: bool = True


METHODS = {
    "euler": Method(Ancestral(eta=0.0)),
    "heun": Method(Heun()),
    "dpm2": Method(DPM2()),
    "dpmpp": Method(DPMpp()),
    "unipc": Method(UniPC()),
    "ancestral": Method(Ancestral(), exact=False),
}
RELEASE = Method(Heun(s_churn=3.0), exact=False)
"""The release's own for its base models, at 64 steps."""


class Counted:
    """A denoiser of (x, sigma, **cond) that counts in how many samples' evaluations a set of N takes: 2 if guided."""

    def __init__(self, denoiser: Callable[..., Tensor], n: int) -> None:
        self.denoiser, self.n, self.evaluations = denoiser, n, 0.0

    def __call__(self, x: Tensor, sigma: Level, /, **cond: Any) -> Tensor:
        self.evaluations += len(x) / self.n
        return self.denoiser(x, sigma, **cond)


@dataclass(frozen=True)
class Problem:
    """Samples that are drawn together.

    Attributes:
        denoiser: of (x, sigma, **cond).
        cond, uncond: its conditions, (N, ...); both empty for one that is not guided.
        guidance: its scale.
        levels: the range of noise levels that the reference has, spread as Karras does.
        narrow: a range that may do as well, spread evenly in log sigma.
        start: unit noise (N, C, P).
        groups: which samples are draws of the same thing, from different seeds. (N,)
    """

    denoiser: Callable[..., Tensor]
    cond: Mapping[str, Any]
    uncond: Mapping[str, Any]
    guidance: float
    levels: tuple[float, float]
    narrow: tuple[float, float]
    start: Tensor
    groups: tuple[int, ...]

    @torch.no_grad()
    def solve(
        self, method: Method, steps: int, interval: tuple[float, float] = (0.0, float("inf")), *, narrow: bool = False
    ) -> tuple[Tensor, float, float]:
        """The ends (N, C, P), evaluations a sample, seconds of all."""
        schedule = KarrasSchedule(*self.narrow, LOG_EVEN) if narrow else KarrasSchedule(*self.levels)
        sigmas = schedule(steps)
        counted, began, end = Counted(self.denoiser, len(self.start)), time.perf_counter(), self.start
        guided: Denoiser = Guided(counted, self.cond, self.uncond, Guidance(self.guidance, interval))
        noise = _no_noise if method.exact else SeededNoise([1000 + i for i in range(len(self.start))])
        for step in method.sampler(guided, self.start * float(sigmas[0]), sigmas, noise=noise):
            end = step.x
        return end, counted.evaluations, time.perf_counter() - began

    def pairs(self) -> list[tuple[int, int]]:
        """Ordered pairs of different samples of one group."""
        return [(i, j) for i, j in permutations(range(len(self.groups)), 2) if self.groups[i] == self.groups[j]]


class Mixture:
    """Points drawn from three isotropic Gaussians, with their exact denoiser; a condition is their weights."""

    def __init__(self, channels: int = 6) -> None:
        generator = torch.Generator().manual_seed(0)
        self.means = torch.randn(3, channels, generator=generator, dtype=torch.float64) / 2
        self.stds = torch.tensor([0.10, 0.05, 0.20], dtype=torch.float64)

    def __call__(self, x: Tensor, sigma: Level, /, weights: Tensor) -> Tensor:
        """E[x0 | x] for x (N, C, P), weights (N, K): posterior means, by the shares that Bayes gives them."""
        variance = self.stds**2 + float(sigma) ** 2
        away = x[:, None] - self.means[None, :, :, None]  # (N, K, C, P)
        log = weights.log() - x.shape[1] / 2 * variance.log()
        share = (log[:, :, None] - (away**2).sum(2) / (2 * variance[None, :, None])).softmax(1)
        pull = (self.stds**2 / variance)[None, :, None, None]
        return (share[:, :, None] * (self.means[None, :, :, None] + pull * away)).sum(1)


def mixture_problem(n: int, seeds: int, guidance: float) -> Problem:
    """Sets of n points from each seed; the condition makes the first Gaussian more likely."""
    start = torch.randn(seeds, 6, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cond, uncond = (
        {"weights": torch.tensor([weights], dtype=torch.float64).expand(seeds, -1)}
        for weights in ([0.6, 0.3, 0.1], [0.4, 0.3, 0.3])
    )
    preset = BASE_PRESET if guidance > 1 else UPSAMPLER_PRESET
    narrow = (preset.sigma_min, preset.sigma_max)
    return Problem(Mixture(), cond, uncond, guidance, RELEASED_LEVELS, narrow, start, (0,) * seeds)


def base_problem(prompts: int, seeds: int) -> Problem:
    """The embedded base stage as the pipeline runs it: the same seeds of every prompt."""
    layout, weights = read_network(embedded_path("layout"), Layout)
    detail, _ = read_network(embedded_path("detail"), Detail)
    tokens = text_encoder(torch.device("cpu")).condition(PROMPTS[:prompts], weights.info["text_tokens"]).float().clone()
    cond = {"grids": {"text": tokens.repeat_interleave(seeds, dim=0)}}
    start = torch.cat([SeededNoise(list(range(seeds)))((seeds, 6, layout.n_points)) for _ in range(prompts)])
    groups = tuple(prompt for prompt in range(prompts) for _ in range(seeds))
    denoiser = ExpertDenoiser(FlowDenoiser(layout), FlowDenoiser(detail), DETAIL_SIGMA)
    scale = Preset().guidance_scale
    return Problem(denoiser, cond, unconditional(cond), scale, (SIGMA_MIN, SIGMA_MAX), NARROW, start, groups)


def upsampler_problem(seeds: int) -> Problem:
    """The embedded upsampler on a gray cell of a procedural car."""
    network, weights = read_network(embedded_path("up"), PointTransformer)
    shape = CellShape(**weights.info["cell"])
    rng = np.random.default_rng(0)
    points = sample_surface(FAMILIES["car"].assemble(rng), 1024, rng).points.astype(np.float32)
    grey = np.full_like(points, 0.5)
    cell = cells(points, shape.anchors)[0]
    context = surroundings(cKDTree(points), points, cell, shape)
    frame = CellFrame.around(points[context])
    parents = np.repeat(frame.to_local(points[cell], grey[cell]), shape.children, axis=1)
    coarse = torch.from_numpy(frame.to_local(points[context], grey[context]))[None].expand(seeds, -1, -1)
    cond = {"low_res": coarse, "anchors": torch.from_numpy(parents)[None].expand(seeds, -1, -1)}
    denoiser = VelocityDenoiser(anchored(network), clip_denoised=False)
    start = SeededNoise(list(range(seeds)))((seeds, 6, parents.shape[1]))
    levels = (UP_SIGMA_MIN, UP_SIGMA_MAX)
    return Problem(denoiser, cond, cond, 1.0, levels, NARROW, start, (0,) * seeds)


def _no_noise(shape: object) -> Tensor:
    raise AssertionError("a deterministic solver drew noise")
