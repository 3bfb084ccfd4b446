"""DPM-Solver-2 as the release has it: a midpoint method with churn. Second order.

Lu et al. 2022 (arXiv 2206.00927, section 3.2), with the churn of Karras et al. 2022 (algorithm 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.step import Noise, Step, churned, slope


def dpm2(
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
    """Carries x (N, C, P) from level sigmas[0] down to sigmas[-1]; 2 n evaluations.

    The midpoint of a step is the middle of the levels' cube roots, which is never 0, so that the
    last step is like the others. Arguments as in `heun`.
    """
    levels = sigmas.tolist()
    n = len(levels) - 1
    denoised = x
    for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x, sigma_hat = churned(x, sigma, n, noise, s_churn, s_tmin, s_tmax, s_noise, draw_unused)
        denoised = denoiser(x, sigma_hat)
        yield Step(x, denoised, sigma_hat, i)
        sigma_mid = ((sigma_hat ** (1 / 3) + sigma_next ** (1 / 3)) / 2) ** 3
        x_mid = x + (sigma_mid - sigma_hat) * slope(x, denoised, sigma_hat)
        x = x + (sigma_next - sigma_hat) * slope(x_mid, denoiser(x_mid, sigma_mid), sigma_mid)
    yield Step(x, denoised, levels[-1], n)
