"""A network's output becomes the clean sample that it stands for.

A denoiser maps x = x0 + sigma * noise and sigma to the expected x0, in the frame of Karras et al.
2022 (arXiv 2206.00364, section 2), in model units; `DiscreteDenoiser` alone works in the VP frame. Samplers see
nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.posterior import split_output, x0_from_eps
from enpointe.diffusion.schedule import DiscreteProcess, Level, velocity_time
from enpointe.diffusion.shapes import Samples
from enpointe.diffusion.step import Frame

Denoiser = Callable[[Tensor, Level], Tensor]
"""(x (N, C, ...), sigma) -> x0 (N, C, ...); sigma is one number, or (N,)."""

ConditionalDenoiser = Callable[..., Tensor]
"""(x (N, C, ...), sigma, **cond) -> x0 (N, C, ...): a `Denoiser` once its condition is bound."""

Network = Callable[..., Tensor]
"""(x_t (N, C, ...) in the VP frame, t (N,), **cond) -> (N, C, ...), or (N, 2 C, ...) with a learned variance."""


@dataclass(frozen=True)
class NetworkDenoiser(ABC):
    """A network as a conditional denoiser.

    Attributes:
        frame: in which x is given.
        net: the network.
    """

    frame: ClassVar[Frame] = "karras"
    net: Network

    @abstractmethod
    def __call__(
        self, x: Float[Tensor, "n c *shape"], sigma: Level, /, **cond: Any
    ) -> Float[Tensor, "n outputs *shape"]:
        """x (N, C, ...), sigma -> x0 (N, C, ...)."""


@dataclass(frozen=True)
class EpsDenoiser(NetworkDenoiser):
    """A network that predicts the noise of a discrete process.

    Args:
        net: the network; its variance channels, if any, are not used.
        process: the (respaced) process.
        clip_denoised: clip x0 to [-1, 1], as the release does.
        integer_time: the release's quirk: sigma's place in the process is truncated to an integer
            step, and the noise is taken out by that step's level too. Off: the network is given the
            fraction as well, and the level is sigma itself.
    """

    process: DiscreteProcess
    clip_denoised: bool = True
    integer_time: bool = True

    def __call__(self, x: Samples, sigma: Level, /, **cond: Any) -> Samples:
        index = self.process.sigma_to_index(sigma)
        if self.integer_time:
            index = index.floor()
            level: Level = self.process.sigmas[index.long()]
        else:
            level = sigma
        x_vp = x / (1 + _per_sample(sigma, x) ** 2).sqrt()
        t = _per_sample(self.process.index_to_time(index), x).flatten()
        eps, _ = split_output(self.net(x_vp, t, **cond).to(x.dtype), x.shape[1])
        ratio = _per_sample(level, x)
        denoised = (1 + ratio**2).sqrt() * x_vp - ratio * eps
        return denoised.clamp(-1, 1) if self.clip_denoised else denoised


@dataclass(frozen=True)
class VelocityDenoiser(NetworkDenoiser):
    """A network that predicts the velocity v = cos(a) eps - sin(a) x0, where tan(a) = sigma.

    Salimans and Ho 2022 (arXiv 2202.00512, section 4). The network is given `velocity_time(sigma)`,
    in 0..1000. Same arguments as `EpsDenoiser`.
    """

    clip_denoised: bool = True

    def __call__(self, x: Samples, sigma: Level, /, **cond: Any) -> Samples:
        ratio = _per_sample(sigma, x)
        cos = 1 / (1 + ratio**2).sqrt()
        x_vp = cos * x
        velocity, _ = split_output(self.net(x_vp, velocity_time(ratio.flatten()), **cond).to(x.dtype), x.shape[1])
        denoised = cos * x_vp - ratio * cos * velocity
        return denoised.clamp(-1, 1) if self.clip_denoised else denoised


@dataclass(frozen=True)
class FlowDenoiser(NetworkDenoiser):
    """A network that predicts a rectified flow's velocity, noise - x0, at x_t = (1 - t) x0 + t noise.

    Liu et al. 2022 (arXiv 2209.03003, section 2.1). Its time is t = sigma / (1 + sigma): x_t is x / (1 + sigma).
    """

    def __call__(self, x: Samples, sigma: Level, /, **cond: Any) -> Samples:
        t = _per_sample(sigma, x) / (1 + _per_sample(sigma, x))
        x_t = (1 - t) * x
        return x_t - t * self.net(x_t, t.flatten(), **cond).to(x.dtype)


@dataclass(frozen=True)
class ExpertDenoiser(NetworkDenoiser):
    """One denoiser for noise levels above a border and another one from there on down.

    Experts of their noise levels: Balaji et al. 2022, eDiff-I (arXiv 2211.01324, section 4).

    Args:
        net: the denoiser for levels above `border`.
        fine: the one for `border` and levels below.
        border: a noise level sigma.
    """

    fine: ConditionalDenoiser
    border: float

    def __call__(self, x: Samples, sigma: Level, /, **cond: Any) -> Samples:
        """As a denoiser; of levels (N,) all must be on one side of the border."""
        levels = torch.as_tensor(sigma)
        above = bool((levels > self.border).any())
        if above and not bool((levels > self.border).all()):
            raise InputError(f"expected noise levels on one side of {self.border}, found {levels.tolist()}")
        return (self.net if above else self.fine)(x, sigma, **cond)


@dataclass(frozen=True)
class DiscreteDenoiser(NetworkDenoiser):
    """A network that predicts the noise of a discrete process, at that process's own steps, in the VP frame.

    It keeps the network's variance, which `ddpm` wants. Same arguments as `EpsDenoiser`.
    """

    frame: ClassVar[Frame] = "vp"
    process: DiscreteProcess
    clip_denoised: bool = True

    def __call__(
        self, x: Float[Tensor, "n c *shape"], sigma: Level, /, **cond: Any
    ) -> Float[Tensor, "n outputs *shape"]:
        """x (N, C, ...) in the VP frame, sigma of a step -> x0, or x0 and the variance values (N, 2 C, ...)."""
        index = self.process.sigma_to_index(sigma).round().long().expand(len(x))
        eps, values = split_output(self.net(x, self.process.timesteps[index].to(x), **cond).to(x.dtype), x.shape[1])
        denoised = x0_from_eps(self.process, x, index, eps)
        if self.clip_denoised:
            denoised = denoised.clamp(-1, 1)
        return denoised if values is None else torch.cat([denoised, values], dim=1)


def _per_sample(level: Level, x: Samples) -> Float[Tensor, " n *ones"]:
    """A noise level as (N, 1, 1, ...), of x's type and device."""
    values = torch.as_tensor(level, dtype=x.dtype, device=x.device).expand(len(x))
    return values.reshape(-1, *[1] * (x.ndim - 1))
