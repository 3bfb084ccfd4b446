"""A network whose in- and output are scaled by the noise level: Karras et al. 2022 (arXiv 2206.00364, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

TIME_SCALE = 250.0
"""The network is told so many times the logarithm of sigma, where their table 1 has a quarter of it."""


class Scalings(NamedTuple):
    """denoised = skip * x + out * net(inside * x), see `Preconditioning.scalings`."""

    skip: Tensor
    out: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Preconditioning:
    """What makes a network's in- and outputs, and its targets, of unit variance at every noise level.

    Args:
        sigma_data: standard deviation of the data.
    """

    sigma_data: float = 0.5

    def scalings(self, sigma: Tensor) -> Scalings:
        """Table 1, column "Ours", for levels of any shape."""
        total = sigma**2 + self.sigma_data**2
        return Scalings(self.sigma_data**2 / total, sigma * self.sigma_data / total.sqrt(), 1 / total.sqrt())

    def denoise(self, net: Callable[..., Tensor], x: Tensor, sigma: Tensor, **cond: Any) -> tuple[Tensor, Tensor]:
        """The network's output and the clean sample that it stands for, of x (N, C, P) at levels (N,); equation 7."""
        skip, out, inside = self._per_sample(sigma, x)
        output = net(inside * x, TIME_SCALE * torch.log(sigma), **cond)
        return output, skip * x + out * output

    def target(self, x0: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """What the network should say of x (N, C, P) at levels (N,); equation 8."""
        skip, out, _ = self._per_sample(sigma, x)
        return (x0 - skip * x) / out

    def _per_sample(self, sigma: Tensor, x: Tensor) -> Scalings:
        return self.scalings(sigma.to(x).reshape(-1, *[1] * (x.ndim - 1)))
