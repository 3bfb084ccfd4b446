"""What every sampler takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from enpointe.diffusion.shapes import Samples

Frame = Literal["karras", "vp"]
"""What x is at a noise level: x0 + sigma eps; or, variance-preserving, that divided by sqrt(1 + sigma^2)."""

Noise = Callable[[Sequence[int]], Tensor]
"""shape -> the next standard normal draw of that shape, see `enpointe.diffusion.noise`."""


class Step(NamedTuple):
    """A sampler's state. A run of n steps gives n + 1 of them; the last holds the result in x, at i = n.

    x: (N, C, ...) at noise level `sigma`, in the sampler's frame.
    denoised: (N, C, ...), the latest prediction of x0.
    """

    x: Samples
    denoised: Samples
    sigma: float
    i: int


def slope(x: Samples, denoised: Samples, sigma: float) -> Samples:
    """dx/dsigma of the probability flow, Karras et al. 2022, equation 3 with sigma(t) = t. (N, C, P)"""
    return (x - denoised) / sigma
