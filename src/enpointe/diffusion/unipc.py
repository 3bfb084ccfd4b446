"""DPM-Solver++(2M) with the corrector UniC-1 after every step: Zhao et al. 2023 (arXiv 2302.04867, section 3.1).

A step's predictor is that of `dpmpp`. The denoised sample at its end, which the next step needs anyway, then corrects
it: no more evaluations, and more exact in few steps. Second order, with their B(h) = exp(h) - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.step import Noise, Step


def unipc(denoiser: Denoiser, x: Tensor, sigmas: Tensor, *, noise: Noise) -> Iterator[Step]:
    """Carries x (N, C, P) from level sigmas[0] down to sigmas[-1]; n evaluations.

    Args:
        sigmas: falling, (n + 1,); the last may be 0, and the step onto it is of first order.
        noise: not used; every solver takes it.

    Yields:
        The predicted x, at which the denoiser was asked; the corrected one is where the next step begins.
    """
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
