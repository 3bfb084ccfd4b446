"""DPM-Solver++(2M) with the corrector UniC-1 after every step: Zhao et al. 2023 (arXiv 2302.04867, section 3.1).

A step's predictor is that of `dpmpp`. The denoised sample at its end, which the next step needs anyway, then corrects
it: no more evaluations, and more exact in few steps. Second order, with their B(h) = exp(h) - 1.
"""

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


@SAMPLERS.register("unipc")
@dataclass(frozen=True)
class UniPC(Sampler):
    """Deterministic; the step onto level 0 is of first order.

    It yields the predicted x, which the denoiser saw; the corrected one is where the next step begins.
    """

    def evaluations(self, steps: int) -> int:
        return steps

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        levels = sigmas.tolist()
        start, sigma_start, h_before = x, levels[0], 0.0  # of the step before
        before = denoised = x
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            before, denoised = denoised, denoiser(x, sigma)
            yield Step(x, denoised, sigma, i)
            if i > 0:
                x = sigma / sigma_start * start - math.expm1(-h_before) * (before + denoised) / 2
            h = math.log(sigma / sigma_next) if sigma_next > 0 else math.inf
            extrapolated = denoised
            if i > 0 and sigma_next > 0:
                extrapolated = denoised + h / (2 * h_before) * (denoised - before)
            start, sigma_start, h_before = x, sigma, h
            x = sigma_next / sigma * x - math.expm1(-h) * extrapolated
        yield Step(x, denoised, levels[-1], len(levels) - 1)
