"""DPM-Solver++(2M): Lu et al. 2022 (arXiv 2211.01095), algorithm 2, with alpha = 1. Second order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.step import Noise, Step


def dpmpp(denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Carries x (N, C, P) from level sigmas[0] down to sigmas[-1]; n evaluations.

    Args:
        sigmas: falling, (n + 1,); the last may be 0, and the step onto it is of first order.
        noise: not used; every solver takes it.
    """
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
