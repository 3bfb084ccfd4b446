"""Bits of a diffusion model: the terms of the variational bound (Ho et al. 2020, arXiv 2006.11239, section 3)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def normal_kl(
    mean: Float[Tensor, "*#shape"],
    log_variance: Float[Tensor, "*#shape"],
    other_mean: Float[Tensor, "*#shape"],
    other_log_variance: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*shape"]:
    """KL(N(mean, exp(log_variance)) || the other) in nats, element by element; shapes broadcast."""
    ratio = log_variance - other_log_variance
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - other_mean) ** 2 * (-other_log_variance).exp())
