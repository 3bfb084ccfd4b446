"""Noise levels of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def even_levels(n: int, generator: torch.Generator) -> Tensor:
    """Uniform draws (n,) from 0 to 1 on the generator's device, one in each n-th of it, in random order.

    A batch spans the levels evenly, which quiets the gradient.
    """
    device = generator.device
    order = torch.randperm(n, generator=generator, device=device)
    return (order + torch.rand(n, generator=generator, device=device)) / n


def normal_levels(n: int, generator: torch.Generator) -> Tensor:
    """The same of a standard normal: one draw in each equal slice of probability."""
    even = even_levels(n, generator).clamp(1e-4, 1 - 1e-4)
    return torch.erfinv(2 * even - 1) * math.sqrt(2)
