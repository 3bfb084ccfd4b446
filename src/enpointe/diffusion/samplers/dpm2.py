"""DPM-Solver-2 as the release has it: a midpoint method with churn. Second order.

Lu et al. 2022 (arXiv 2206.00927, section 3.2), with the churn of Karras et al. 2022 (algorithm 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.samplers._churn import Churning
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Noise, Step, slope


@SAMPLERS.register("dpm2")
@dataclass(frozen=True)
class DPM2(Churning):
    """The midpoint of a step is the middle of the levels' cube roots, never 0: the last step is as the others."""

    def evaluations(self, steps: int) -> int:
        return 2 * steps

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        levels = sigmas.tolist()
        n = len(levels) - 1
        denoised = x
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            x, sigma_hat = self.churned(x, sigma, n, noise)
            denoised = denoiser(x, sigma_hat)
            yield Step(x, denoised, sigma_hat, i)
            sigma_mid = ((sigma_hat ** (1 / 3) + sigma_next ** (1 / 3)) / 2) ** 3
            x_mid = x + (sigma_mid - sigma_hat) * slope(x, denoised, sigma_hat)
            x = x + (sigma_next - sigma_hat) * slope(x_mid, denoiser(x_mid, sigma_mid), sigma_mid)
        yield Step(x, denoised, levels[-1], n)
