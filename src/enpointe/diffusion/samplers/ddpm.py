"""Ancestral sampling of a discrete process: Ho et al. 2020 (arXiv 2006.11239), algorithm 2.

With the learned variance of Nichol and Dhariwal 2021 (arXiv 2102.09672, equation 15) where the denoiser predicts one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.posterior import split_output
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Frame, Noise, Step


@SAMPLERS.register("ddpm")
@dataclass(frozen=True)
class DDPM(Sampler):
    """One draw a step, but none in the last. Of a denoiser such as `DiscreteDenoiser`, in the VP frame.

    What such a denoiser gives may have twice the channels: x0, and where the logarithm of the step's variance lies
    between that of q(x_next | x, x0), at -1, and that of q(x | x_next), at 1. Without, it is the former.

    Args:
        draw_unused: draw in the last step too, as in `heun`.
    """

    frame: ClassVar[Frame] = "vp"
    draw_unused: bool = False

    def evaluations(self, steps: int) -> int:
        return steps

    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        alpha_bars = 1 / (1 + sigmas**2)
        now, after = alpha_bars[:-1], alpha_bars[1:]
        betas = 1 - now / after
        of_x0 = betas * after.sqrt() / (1 - now)
        of_x = (1 - after) * (1 - betas).sqrt() / (1 - now)
        low, high = (betas * (1 - after) / (1 - now)).log().to(x), betas.log().to(x)
        n = len(betas)
        denoised = x
        for i in range(n):
            denoised, values = split_output(denoiser(x, float(sigmas[i])), x.shape[1])
            yield Step(x, denoised, float(sigmas[i]), i)
            x = float(of_x0[i]) * denoised + float(of_x[i]) * x
            if after[i] < 1:
                log_variance = low[i] if values is None else torch.lerp(low[i], high[i], (values + 1) / 2)
                x = x + (log_variance / 2).exp() * noise(x.shape).to(x)
            elif self.draw_unused:
                noise(x.shape)
        yield Step(x, denoised, float(sigmas[-1]), n)
