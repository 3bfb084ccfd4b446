"""What every solver takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

Noise = Callable[[Sequence[int]], Tensor]
"""shape -> the next standard normal draw of that shape, see `enpointe.diffusion.noise`."""


class Step(NamedTuple):
    """A solver's state. A run of n steps gives n + 1 of them; the last holds the result in x, at i = n.

    x: (N, C, P) at noise level `sigma` (in the Karras frame; `ddpm` works in the VP frame).
    denoised: (N, C, P), the latest prediction of x0.
    """

    x: Tensor
    denoised: Tensor
    sigma: float
    i: int


def slope(x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
    """dx/dsigma of the probability flow, Karras et al. 2022, equation 3 with sigma(t) = t. (N, C, P)"""
    return (x - denoised) / sigma


def churned(
    x: Tensor,
    sigma: float,
    n: int,
    noise: Noise,
    s_churn: float,
    s_tmin: float,
    s_tmax: float,
    s_noise: float,
    draw_unused: bool,
) -> tuple[Tensor, float]:
    """New noise lifts x to a higher level, Karras et al. 2022, algorithm 2, lines 4 to 6.

    Returns:
        x at the level sigma_hat, and sigma_hat; as they were where nothing is added (no noise is drawn
        then, or with `draw_unused` it is drawn and left).
    """
    gamma = min(s_churn / n, 2**0.5 - 1) if s_tmin <= sigma <= s_tmax else 0.0
    if gamma <= 0:
        if draw_unused:
            noise(x.shape)
        return x, sigma
    sigma_hat = sigma * (1 + gamma)
    return x + (sigma_hat**2 - sigma**2) ** 0.5 * s_noise * noise(x.shape).to(x), sigma_hat
