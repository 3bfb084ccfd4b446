"""Heun's method with churn: Karras et al. 2022 (arXiv 2206.00364), algorithm 2. Second order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.samplers._churn import Churning
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Noise, Step, slope


@SAMPLERS.register("heun")
@dataclass(frozen=True)
class Heun(Churning):
    """The step onto level 0 is Euler's, with one evaluation instead of two."""

    def evaluations(self, steps: int) -> int:
        return 2 * steps - 1

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        levels = sigmas.tolist()
        n = len(levels) - 1
        denoised = x
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            x_hat, sigma_hat = self.churned(x, sigma, n, noise)
            denoised = denoiser(x_hat, sigma_hat)
            yield Step(x_hat, denoised, sigma_hat, i)
            d = slope(x_hat, denoised, sigma_hat)
            x = x_hat + (sigma_next - sigma_hat) * d
            if sigma_next > 0:
                d_next = slope(x, denoiser(x, sigma_next), sigma_next)
                x = x_hat + (sigma_next - sigma_hat) * (d + d_next) / 2
        yield Step(x, denoised, levels[-1], n)
