"""DPM-Solver++(2M): Lu et al. 2022 (arXiv 2211.01095), algorithm 2, with alpha = 1. Second order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Noise, Step


@SAMPLERS.register("dpmpp")
@dataclass(frozen=True)
class DPMpp(Sampler):
    """Deterministic; the first step and the one onto level 0 are of first order."""

    def evaluations(self, steps: int) -> int:
        return steps

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        levels = sigmas.tolist()
        before, h_before = x, 0.0
        denoised = x
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            before, denoised = denoised, denoiser(x, sigma)
            yield Step(x, denoised, sigma, i)
            h = math.log(sigma / sigma_next) if sigma_next > 0 else math.inf  # in lambda = -log sigma
            if i == 0 or sigma_next == 0:
                extrapolated = denoised
            else:
                extrapolated = denoised + h / (2 * h_before) * (denoised - before)
            x = sigma_next / sigma * x - math.expm1(-h) * extrapolated
            h_before = h
        yield Step(x, denoised, levels[-1], len(levels) - 1)
