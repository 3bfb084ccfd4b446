"""Bits of a diffusion model: the terms of the variational bound (Ho et al. 2020, arXiv 2006.11239, section 3)."""

from __future__ import annotations

from torch import Tensor


def normal_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || the other) in nats, element by element; shapes broadcast."""
    ratio = log_variance - other_log_variance
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - other_mean) ** 2 * (-other_log_variance).exp())
