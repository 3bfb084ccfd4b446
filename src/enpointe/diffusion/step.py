"""What every sampler takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from enpointe.diffusion.shapes import Samples

Noise = Callable[[Sequence[int]], Tensor]
"""shape -> the next standard normal draw of that shape, see `enpointe.diffusion.noise`."""


class Step(NamedTuple):
    """A sampler's state. A run of n steps gives n + 1 of them; the last holds the result in x, at i = n.

    x: (N, C, P) at noise level `sigma` (in the Karras frame; `ddpm` works in the VP frame).
    denoised: (N, C, P), the latest prediction of x0.
    """

    x: Samples
    denoised: Samples
    sigma: float
    i: int


def slope(x: Samples, denoised: Samples, sigma: float) -> Samples:
    """dx/dsigma of the probability flow, Karras et al. 2022, equation 3 with sigma(t) = t. (N, C, P)"""
    return (x - denoised) / sigma
