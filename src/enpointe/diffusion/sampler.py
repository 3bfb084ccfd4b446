"""What a sampler is: a frozen dataclass of options that carries noise down a row of noise levels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from enpointe.core.config import from_dict
from enpointe.diffusion.denoiser import Denoiser
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.diffusion.shapes import Levels, Samples
from enpointe.diffusion.step import Frame, Noise, Step


@dataclass(frozen=True)
class Sampler(ABC):
    """Subclasses are frozen dataclasses of their options, in modules of `samplers`, registered under the module's name.

    Attributes:
        frame: in which x comes, goes, and is given to the denoiser.
    """

    frame: ClassVar[Frame] = "karras"

    @abstractmethod
    def evaluations(self, steps: int) -> int:
        """How often the denoiser is called in so many steps down to level 0; guidance doubles it."""

    @abstractmethod
    def __call__(self, denoiser: Denoiser, x: Samples, sigmas: Levels, *, noise: Noise) -> Iterator[Step]:
        """Carries x (N, C, ...) from level sigmas[0] down to sigmas[-1].

        Args:
            sigmas: falling, (steps + 1,); the last may be 0.
            noise: where new noise comes from, for samplers that add some.

        Yields:
            steps + 1 states, the first before any step.
        """

    def steps_within(self, evaluations: int) -> int:
        """The most steps, at least one, that take no more than so many evaluations."""
        affordable = (steps for steps in range(evaluations, 0, -1) if self.evaluations(steps) <= evaluations)
        return next(affordable, 1)


def samplers_in(frame: Frame) -> tuple[str, ...]:
    """The names of the samplers that work in a frame: "karras" ones take any noise levels."""
    return tuple(name for name, cls in SAMPLERS.items() if cls.frame == frame)


def options_of(name: str) -> frozenset[str]:
    """The names of a sampler's options; InputError where there is no such sampler."""
    return frozenset(field.name for field in fields(SAMPLERS[name]))


def make_sampler(name: str, **options: Any) -> Sampler:
    """The sampler of that name with those options.

    Raises:
        InputError: there is none, or it has no such option.
    """
    return from_dict(SAMPLERS[name], options)
