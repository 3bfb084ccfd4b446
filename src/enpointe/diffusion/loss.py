"""Training objectives. Every value is per sample, so that it can be looked at by noise level."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from enpointe.diffusion.denoiser import Network
from enpointe.diffusion.likelihood import normal_kl
from enpointe.diffusion.posterior import at, log_variance, posterior_mean, split_output, x0_from_eps
from enpointe.diffusion.schedule import DiscreteProcess, velocity_time
from enpointe.diffusion.shapes import PerSample, Samples, StepIndex


class EpsLoss(NamedTuple):
    """Each (N,): loss = mse + vb."""

    loss: PerSample
    mse: PerSample
    vb: PerSample


def eps_loss(
    net: Network, process: DiscreteProcess, x0: Samples, index: StepIndex, noise: Samples, **cond: Any
) -> EpsLoss:
    """The release's loss: squared error of the noise, and the bound that teaches the variance.

    Nichol and Dhariwal 2021 (arXiv 2102.09672, equation 16): the bound's gradient reaches the
    variance only. It is in bits per channel, and 0 at index 0, where the release leaves it out;
    also where the network has no variance channels.

    Args:
        x0, noise: (N, C, P), model units. index: (N,) integers, of the kept steps.
    """
    alpha_bar = at(process.alphas_cumprod, index, x0)
    x_t = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise
    output = net(x_t, process.timesteps[index.cpu()].to(x0), **cond).to(x0.dtype)
    eps, values = split_output(output, x0.shape[1])
    mse = _mean(eps - noise, power=2)
    if values is None:
        return EpsLoss(mse, mse, torch.zeros_like(mse))
    vb = _variational_bound(process, x0, x_t, index, eps.detach(), values)
    return EpsLoss(mse + vb, mse, vb)


def velocity_loss(net: Network, x0: Samples, sigma: PerSample, noise: Samples, **cond: Any) -> PerSample:
    """Squared error of the velocity (Salimans and Ho 2022, arXiv 2202.00512, section 4).

    Args:
        x0, noise: (N, C, P), model units. sigma: (N,), see `VelocityProcess.training_sigmas`.
    Returns:
        (N,); its mean over a batch is the objective.
    """
    angle = torch.atan(sigma).reshape(-1, *[1] * (x0.ndim - 1))
    x_vp = angle.cos() * x0 + angle.sin() * noise
    velocity = angle.cos() * noise - angle.sin() * x0
    output, _ = split_output(net(x_vp, velocity_time(sigma), **cond).to(x0.dtype), x0.shape[1])
    return _mean(output - velocity, power=2)


def flow_loss(net: Network, x0: Samples, t: PerSample, noise: Samples, **cond: Any) -> PerSample:
    """Squared error of a rectified flow's velocity, noise - x0 (Liu et al. 2022, arXiv 2209.03003, equation 1).

    Args:
        x0, noise: (N, C, P), model units. t: (N,), 0 < t < 1.
    Returns:
        (N,); its mean over a batch is the objective.
    """
    part = t.reshape(-1, *[1] * (x0.ndim - 1))
    output = net((1 - part) * x0 + part * noise, t, **cond).to(x0.dtype)
    return _mean(output - (noise - x0), power=2)


def _variational_bound(
    process: DiscreteProcess, x0: Samples, x_t: Samples, index: StepIndex, eps: Samples, values: Samples
) -> PerSample:
    """KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t)) in bits per channel. (N,)"""
    true_mean = posterior_mean(process, x0, x_t, index)
    mean = posterior_mean(process, x0_from_eps(process, x_t, index, eps), x_t, index)
    true_log = at(process.posterior_log_variance_clipped, index, x0)
    log = log_variance(process, values, index, x0)
    bits = _mean(normal_kl(true_mean, true_log, mean, log)) / math.log(2)
    return torch.where(index.to(bits.device) == 0, 0.0, bits)


def _mean(values: Samples, power: int = 1) -> PerSample:
    """Mean over all but the first axis. (N, ...) -> (N,)"""
    return (values**power).flatten(1).mean(dim=1)
