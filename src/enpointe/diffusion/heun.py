"""Heun's method with churn: Karras et al. 2022 (arXiv 2206.00364), algorithm 2. Second order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.step import Noise, Step, churned, slope


def heun(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
    draw_unused: bool = False,
) -> Iterator[Step]:
    """Carries x (N, C, P) from level sigmas[0] down to sigmas[-1].

    Args:
        sigmas: falling, (n + 1,); the last may be 0, and the step onto it is Euler's. 2 n - 1
            evaluations then, otherwise 2 n.
        noise: drawn only where churn adds some.
        draw_unused: one draw in every step, as the release does, so that two stages that share a
            generator get the release's numbers.
        s_churn, s_tmin, s_tmax, s_noise: the paper's; s_churn 0 is deterministic.
    """
    levels = sigmas.tolist()
    n = len(levels) - 1
    denoised = x
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x_hat, sigma_hat = churned(x, sigma, n, noise, s_churn, s_tmin, s_tmax, s_noise, draw_unused)
        denoised = denoiser(x_hat, sigma_hat)
        yield Step(x_hat, denoised, sigma_hat, i)
        d = slope(x_hat, denoised, sigma_hat)
        x = x_hat + (sigma_next - sigma_hat) * d
        if sigma_next > 0:
            d_next = slope(x, denoiser(x, sigma_next), sigma_next)
            x = x_hat + (sigma_next - sigma_hat) * (d + d_next) / 2
    yield Step(x, denoised, levels[-1], n)
