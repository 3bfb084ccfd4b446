"""One diffusion stage: noise and a condition become samples, better with every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.diffusion.denoiser import ConditionalDenoiser, Denoiser, NetworkDenoiser
from enpointe.diffusion.guidance import PLAIN, Condition, Guidance
from enpointe.diffusion.known import Known
from enpointe.diffusion.sampler import Sampler
from enpointe.diffusion.schedule import Level, Schedule
from enpointe.diffusion.step import Noise, Step

Precision = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Stage:
    """How samples of any shape are drawn with a denoiser: clouds, images, cells of an upsampler.

    Attributes:
        denoiser: (x (N, *shape), sigma, **cond) -> x0 (N, *shape), in the sampler's frame.
        sampler: what carries noise down the schedule's levels.
        schedule: the noise levels.
        steps: how many the sampler takes.
        shape: of a sample, (C, ...).
        guidance: how strongly the condition is followed.
        known: entries that are given and stay as they are, (N or 1, *shape) in the denoiser's units.
        prepare: (n_samples, **cond) -> the condition as the denoiser takes it: what need not be done anew at every
            evaluation. None: it takes it as it is.
        noise_limit: larger starting noise is cut to so many standard deviations.
        dtype: what the denoiser computes its products in; the sampler stays in float32.

    Raises:
        InputError: an axis of no length, a denoiser in another frame than the sampler's, or known entries of another
            shape.
    """

    denoiser: ConditionalDenoiser
    sampler: Sampler
    schedule: Schedule
    steps: int
    shape: tuple[int, ...]
    guidance: Guidance = PLAIN
    known: Known | None = None
    prepare: Callable[..., Condition] | None = None
    noise_limit: float = math.inf
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise InputError(f"shape of a sample: expected at least 1 along every axis, found {self.shape}")
        if isinstance(self.denoiser, NetworkDenoiser) and self.denoiser.frame != self.sampler.frame:
            raise InputError(
                f"denoiser: expected one in the {self.sampler.frame} frame of {type(self.sampler).__name__}, "
                f"found {type(self.denoiser).__name__} in the {self.denoiser.frame} frame"
            )
        if self.known is not None:
            for what, tensor in vars(self.known).items():
                if not _fits(tensor, self.shape):
                    raise InputError(f"known {what}: expected (N, *{self.shape}), found {tuple(tensor.shape)}")

    @torch.no_grad()
    def run(self, cond: Condition, noise: Noise, *, n_samples: int) -> Iterator[Step]:
        """Draws samples; every step gives all of them.

        Args:
            cond: the denoiser's keyword arguments (N, ...), or mappings of such; empty where it takes none.
            noise: of all samples; the first draw (N, *shape) is the start, the others are the sampler's.
            n_samples: N.

        Yields:
            steps + 1 states, the last with the result in x.
        """
        unit = noise((n_samples, *self.shape)).clamp(-self.noise_limit, self.noise_limit)
        sigmas = self.schedule(self.steps)
        x = unit if self.sampler.frame == "vp" else unit * float(sigmas[0])
        # In float32 nothing is switched: what is on around the call holds.
        precision = nullcontext if self.dtype == torch.float32 else partial(torch.autocast, x.device.type, self.dtype)
        denoiser = _within(precision, self._bound(cond, n_samples, precision))
        if self.known is None:
            yield from self.sampler(denoiser, x, sigmas, noise=noise)
            return
        for step in self.sampler(self.known.keep(denoiser, unit, self.sampler.frame), x, sigmas, noise=noise):
            yield step if step.i < self.steps else step._replace(x=self.known.restore(step.x))

    def _bound(self, cond: Condition, n_samples: int, precision: Precision) -> Denoiser:
        if self.prepare is None:
            return self.guidance(self.denoiser, cond)
        prepare = self.prepare

        def prepared(given: Condition) -> Condition:
            with precision():
                return prepare(n_samples, **given)

        return self.guidance(self.denoiser, cond, prepared)


def _within(precision: Precision, denoiser: Denoiser) -> Denoiser:
    """The denoiser in that precision. Not the sampler: a generator would leave it switched on for its caller."""

    def within(x: Tensor, sigma: Level, /) -> Tensor:
        with precision():
            return denoiser(x, sigma)

    return within


def _fits(tensor: Any, shape: tuple[int, ...]) -> bool:
    return tensor.ndim == 1 + len(shape) and all(n in (1, m) for n, m in zip(tensor.shape[1:], shape, strict=True))
