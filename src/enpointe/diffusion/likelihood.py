"""Bits of a diffusion model: the terms of the variational bound (Ho et al. 2020, arXiv 2006.11239, section 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 255
"""Steps between the lowest and the highest value of 8 bits, which lie at -1 and 1."""
_DARKEST, _BRIGHTEST = -0.999, 0.999
_LEAST = 1e-12  # of a probability whose logarithm is taken


def normal_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || the other) in nats, element by element; shapes broadcast."""
    ratio = log_variance - other_log_variance
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - other_mean) ** 2 * (-other_log_variance).exp())


def standard_normal_cdf(x: Tensor) -> Tensor:
    """The cumulative distribution of N(0, 1) within 2e-4 (Page 1977, doi 10.2307/2346872), as the release has it."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def discretized_log_likelihood(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log probability in nats of values of 8 bits under a normal distribution (Ho et al. 2020, equation 13).

    Args:
        x: values in [-1, 1], any shape; each stands for an interval of 2 / 255, the outermost for all beyond.
        mean, log_std: of the distribution, of x's shape.
    """
    away, scale = x - mean, (-log_std).exp()
    below, above = (standard_normal_cdf(scale * (away + side / LEVELS)) for side in (-1, 1))
    inside = torch.where(x < _DARKEST, above, torch.where(x > _BRIGHTEST, 1 - below, above - below))
    return inside.clamp(min=_LEAST).log()
