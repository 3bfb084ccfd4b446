"""Noise added on the way: Karras et al. 2022 (arXiv 2206.00364), algorithm 2, lines 4 to 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.shapes import Samples
from enpointe.diffusion.step import Noise


@dataclass(frozen=True)
class Churning(Sampler):
    """A sampler that can lift x to a higher level before each step.

    Args:
        s_churn, s_tmin, s_tmax, s_noise: the paper's; s_churn 0 is deterministic and draws nothing.
        draw_unused: one draw in every step, as the release does, so that two stages that share a
            generator get the release's numbers.
    """

    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    draw_unused: bool = False

    def churned(self, x: Samples, sigma: float, n: int, noise: Noise) -> tuple[Samples, float]:
        """x at the level sigma_hat, and sigma_hat, in a run of n steps; as they were where nothing is added."""
        gamma = min(self.s_churn / n, 2**0.5 - 1) if self.s_tmin <= sigma <= self.s_tmax else 0.0
        if gamma <= 0:
            if self.draw_unused:
                noise(x.shape)
            return x, sigma
        sigma_hat = sigma * (1 + gamma)
        return x + (sigma_hat**2 - sigma**2) ** 0.5 * self.s_noise * noise(x.shape).to(x), sigma_hat
