"""x0 and the step before, from a noise prediction of a discrete process (VP frame)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.schedule import DiscreteProcess
from enpointe.diffusion.shapes import Samples, StepIndex, Table


def at(table: Table, index: StepIndex, like: Samples) -> Float[Tensor, " n *ones"]:
    """Entries of a float64 table (T,) at indices (N,), shaped (N, 1, 1, ...) to go with `like` (N, ...)."""
    values = table[index.to(table.device)].to(device=like.device, dtype=like.dtype)
    return values.reshape(-1, *[1] * (like.ndim - 1))


def split_output(
    output: Float[Tensor, "n outputs *shape"], channels: int
) -> tuple[Float[Tensor, "n {channels} *shape"], Float[Tensor, "n {channels} *shape"] | None]:
    """A network's output -> its prediction and, where it has twice the channels, its variance values.

    Raises:
        InputError: neither `channels` nor twice as many.
    """
    if output.shape[1] == channels:
        return output, None
    if output.shape[1] == 2 * channels:
        return output[:, :channels], output[:, channels:]
    raise InputError(f"network output: expected {channels} or {2 * channels} channels, found {output.shape[1]}")


def x0_from_eps(process: DiscreteProcess, x_t: Samples, index: StepIndex, eps: Samples) -> Samples:
    """Ho et al. 2020, equation 4 solved for x0. x_t, eps (N, C, P), index (N,) -> (N, C, P)."""
    alpha_bar = process.alphas_cumprod
    return at((1 / alpha_bar).sqrt(), index, x_t) * x_t - at((1 / alpha_bar - 1).sqrt(), index, x_t) * eps


def posterior_mean(process: DiscreteProcess, x0: Samples, x_t: Samples, index: StepIndex) -> Samples:
    """Mean of q(x_{t-1} | x_t, x0), Ho et al. 2020, equation 7. (N, C, P)"""
    of_x0, of_x_t = process.posterior_weights
    return at(of_x0, index, x_t) * x0 + at(of_x_t, index, x_t) * x_t


def log_variance(process: DiscreteProcess, values: Samples | None, index: StepIndex, like: Samples) -> Samples:
    """Log variance of the learned p(x_{t-1} | x_t), Nichol and Dhariwal 2021, equation 15.

    Args:
        values: (N, C, P); -1 is the posterior's variance, 1 is beta, between them the logarithm is
            interpolated. None (a network that does not learn it) is the posterior's variance.
    """
    low = at(process.posterior_log_variance_clipped, index, like)
    if values is None:
        return low.expand_as(like)
    high = at(process.betas.log(), index, like)
    return torch.lerp(low, high, (values + 1) / 2)
