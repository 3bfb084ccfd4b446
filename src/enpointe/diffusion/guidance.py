"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598): two predictions become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from enpointe.diffusion.schedule import Level
from enpointe.diffusion.shapes import Samples

Condition = Mapping[str, Any]
"""Keyword arguments of a network: tensors (N, ...), or mappings of such."""

XYZ = 3
"""The channels that the release guides in its DDPM path."""


def unconditional(cond: Condition, *, keep: Collection[str] = ()) -> dict[str, Any]:
    """The condition's unconditional twin: zeros in place of every tensor.

    Args:
        keep: names to leave as they are. The release keeps nothing: its unconditional half loses
            the upsampler's low-resolution points too; ("low_res",) guides the rest only.
    """
    return {name: value if name in keep else _zeros(value) for name, value in cond.items()}


@dataclass(frozen=True, eq=False)
class Guided:
    """Binds a condition to a denoiser, or to a bare network, and guides it.

    The result is uncond + guidance_scale * (cond - uncond). Where both conditions have the same
    shapes, the two halves are one call at twice the batch.

    Args:
        function: (x (N, C, P), level, **cond) -> (N, ..., P). A denoiser: guidance of x0. A network:
            guidance of its output, as the release does in its DDPM path.
        cond, uncond: its keyword arguments, see `unconditional`.
        guidance_scale: 1 is plain conditional; so is 0, as in the release.
        interval: levels (sigma for a denoiser, t for a network) inside which guidance applies
            (Kynkaanniemi et al. 2024, arXiv 2404.07724); outside it is plain conditional.
        channels: guide only this many leading channels, the rest stays conditional; None guides
            all (release: None for denoisers, `XYZ` for networks).
        leading_scale: another guidance scale for the leading `XYZ` channels, None for the same.
    """

    function: Callable[..., Tensor]
    cond: Condition
    uncond: Condition
    guidance_scale: float = 3.0
    interval: tuple[float, float] = (0.0, math.inf)
    channels: int | None = None
    leading_scale: float | None = None

    def __call__(self, x: Float[Tensor, "n c *shape"], level: Level, /) -> Float[Tensor, "n outputs *shape"]:
        """The guided result at x (N, C, P) and a level, one number or (N,)."""
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
        low, high = self.interval
        if self.guidance_scale in (0, 1) and self.leading_scale in (None, 0, 1):
            return False
        if isinstance(level, Tensor):
            # Looking into a tensor stalls a GPU, so not where there is nothing to see.
            return self.interval == (0.0, math.inf) or bool(((level >= low) & (level <= high)).any())
        return low <= level <= high

    def _scales(self, level: Level, like: Samples) -> Float[Tensor, " n *scales"]:
        """Guidance of each sample and channel, 1 outside the interval. (N, 1 or C, 1, ...)"""
        low, high = self.interval
        levels = torch.as_tensor(level, device=like.device).expand(len(like))
        inside = (levels >= low) & (levels <= high)
        wanted = like.new_full((like.shape[1] if self.leading_scale is not None else 1,), self.guidance_scale)
        if self.leading_scale is not None:
            wanted[:XYZ] = self.leading_scale
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
