"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598): two predictions become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import ConditionalDenoiser, Denoiser, NetworkDenoiser
from enpointe.diffusion.schedule import Level
from enpointe.diffusion.shapes import Samples

Condition = Mapping[str, Any]
"""Keyword arguments of a network: tensors (N, ...), or mappings of such."""

Prepare = Callable[[Condition], Condition]

XYZ = 3
"""The channels that the release guides in its DDPM path."""


def unconditional(cond: Condition, *, keep: Collection[str] = ()) -> dict[str, Any]:
    """The unconditional input that belongs to a condition: zeros in place of every tensor.

    Args:
        keep: names to leave as they are. The release keeps nothing: its unconditional half loses
            the upsampler's low-resolution points too; ("low_res",) guides the rest only.
    """
    return {name: value if name in keep else _zeros(value) for name, value in cond.items()}


@dataclass(frozen=True)
class Guidance:
    """Binds a condition to a denoiser and guides it: a denoiser that wraps a denoiser, uncond + scale (cond - uncond).

    Args:
        scale: 1 is plain conditional; so is 0, as in the release.
        interval: noise levels inside which guidance applies (Kynkaanniemi et al. 2024, arXiv 2404.07724); outside
            it is plain conditional.
        leading_scale: another scale for the leading `XYZ` channels, None for the same.
        keep: conditions that the unconditional half keeps, see `unconditional`.
    """

    scale: float = 3.0
    interval: tuple[float, float] = (0.0, math.inf)
    leading_scale: float | None = None
    keep: tuple[str, ...] = ()

    def __call__(self, denoiser: ConditionalDenoiser, cond: Condition, prepare: Prepare = dict) -> Denoiser:
        """The denoiser of (x, sigma) under a condition.

        Args:
            cond: what the denoiser takes, (N, ...).
            prepare: what makes of a condition, conditional or not, the one that the denoiser takes.
        """
        return self._guided(denoiser, cond, prepare)

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return self.scale in (0, 1) and self.leading_scale in (None, 0, 1)

    def _guided(
        self, function: Callable[..., Tensor], cond: Condition, prepare: Prepare, channels: int | None = None
    ) -> Guided:
        # Where both halves would be the same there is nothing to go away from, and one will do.
        if self.is_plain or not cond.keys() - set(self.keep):
            return Guided(function, prepare(cond), {}, PLAIN)
        return Guided(function, prepare(cond), prepare(unconditional(cond, keep=self.keep)), self, channels)


PLAIN = Guidance(1.0)
"""Plain conditional."""


@dataclass(frozen=True)
class NoiseGuidance(Guidance):
    """Guides a network's predicted noise in x, y, z only, before x0 is made of it: the release's way with `DDPM`.

    Its interval is of the network's times.
    """

    def __call__(self, denoiser: ConditionalDenoiser, cond: Condition, prepare: Prepare = dict) -> Denoiser:
        if not isinstance(denoiser, NetworkDenoiser):
            raise InputError(f"noise guidance: expected the denoiser of a network, found {denoiser!r}")
        return replace(denoiser, net=self._guided(denoiser.net, cond, prepare, channels=XYZ))


@dataclass(frozen=True, eq=False)
class Guided:
    """A denoiser, or a bare network, with its conditions bound.

    Where both conditions have the same shapes, the two halves are one call at twice the batch.

    Args:
        function: (x (N, C, ...), level, **cond) -> (N, ...). A denoiser: guidance of x0. A network: of its output.
        cond, uncond: its keyword arguments; the latter are not used where guidance is plain.
        guidance: how it is guided; levels are sigma for a denoiser, t for a network.
        channels: guide only this many leading channels, the rest stays conditional; None guides all.
    """

    function: Callable[..., Tensor]
    cond: Condition
    uncond: Condition
    guidance: Guidance = Guidance()
    channels: int | None = None

    def __call__(self, x: Float[Tensor, "n c *shape"], level: Level, /) -> Float[Tensor, "n outputs *shape"]:
        """The guided result at x (N, C, ...) and a level, one number or (N,)."""
        if not self._applies(level):
            return self.function(x, level, **self.cond)
        if self._both is None:
            cond, uncond = self.function(x, level, **self.cond), self.function(x, level, **self.uncond)
        else:
            twice = torch.cat([level, level]) if isinstance(level, Tensor) and level.ndim else level
            cond, uncond = self.function(torch.cat([x, x]), twice, **self._both).chunk(2)
        guided = torch.lerp(uncond, cond, self._scales(level, cond))
        if self.channels is None:
            return guided
        return torch.cat([guided[:, : self.channels], cond[:, self.channels :]], dim=1)

    @cached_property
    def _both(self) -> dict[str, Any] | None:
        return _joined(self.cond, self.uncond)

    def _applies(self, level: Level) -> bool:
        low, high = self.guidance.interval
        if self.guidance.is_plain:
            return False
        if isinstance(level, Tensor):
            # Looking into a tensor stalls a GPU, so not where there is nothing to see.
            return self.guidance.interval == (0.0, math.inf) or bool(((level >= low) & (level <= high)).any())
        return low <= level <= high

    def _scales(self, level: Level, like: Samples) -> Float[Tensor, " n *scales"]:
        """Guidance of each sample and channel, 1 outside the interval. (N, 1 or C, 1, ...)"""
        low, high = self.guidance.interval
        leading = self.guidance.leading_scale
        levels = torch.as_tensor(level, device=like.device).expand(len(like))
        inside = (levels >= low) & (levels <= high)
        wanted = like.new_full((1 if leading is None else like.shape[1],), self.guidance.scale)
        if leading is not None:
            wanted[:XYZ] = leading
        scales = torch.where(inside[:, None], wanted, torch.ones_like(wanted))
        return scales.reshape(*scales.shape, *[1] * (like.ndim - 2))


def _zeros(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _zeros(part) for name, part in value.items()}
    return torch.zeros_like(value)


def _joined(a: Condition, b: Condition) -> dict[str, Any] | None:
    """Two conditions as one of twice the batch; None where names or shapes differ."""
    if a.keys() != b.keys():
        return None
    joined: dict[str, Any] = {}
    for name, value in a.items():
        other = b[name]
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            joined[name] = _joined(value, other)
        elif isinstance(value, Tensor) and isinstance(other, Tensor) and value.shape == other.shape:
            joined[name] = torch.cat([value, other])
        else:
            return None
        if joined[name] is None:
            return None
    return joined
