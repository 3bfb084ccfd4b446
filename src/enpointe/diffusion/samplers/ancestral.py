"""Euler's method with ancestral noise: the step of DDPM (Ho et al. 2020, equation 7) in the Karras frame.

A step from sigma to sigma_next goes down to sigma_down by Euler, deterministically, and up again by
new noise, so that the variance is that of q(x_next | x, x0). First order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from torch import Tensor

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Noise, Step, slope

L = TypeVar("L", float, Tensor)


@SAMPLERS.register("ancestral")
@dataclass(frozen=True)
class Ancestral(Sampler):
    """One draw a step, but none on the way to level 0.

    Args:
        eta: how much of the new noise to use (Song et al. 2021, arXiv 2010.02502, equation 16);
            0 is Euler's deterministic method, which is DDIM.
        draw_unused: draw in every step, as in `heun`.
    """

    eta: float = 1.0
    draw_unused: bool = False

    def evaluations(self, steps: int) -> int:
        return steps

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        levels = sigmas.tolist()
        denoised = x
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            denoised = denoiser(x, sigma)
            yield Step(x, denoised, sigma, i)
            sigma_down, sigma_up = down_and_up(sigma, sigma_next, self.eta)
            x = x + (sigma_down - sigma) * slope(x, denoised, sigma)
            if sigma_up > 0:
                x = x + sigma_up * noise(x.shape).to(x)
            elif self.draw_unused:
                noise(x.shape)
        yield Step(x, denoised, levels[-1], len(levels) - 1)


def down_and_up(sigma: L, sigma_next: L, eta: float = 1.0) -> tuple[L, L]:
    """The level that a step goes down to, and that of the noise which lifts it from there to sigma_next."""
    sigma_up = eta * sigma_next * (1 - (sigma_next / sigma) ** 2) ** 0.5
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up
