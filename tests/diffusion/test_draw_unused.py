"""`draw_unused` draws in every step, as the release does, and changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from enpointe.diffusion.ddpm import ddpm
from enpointe.diffusion.schedule import DiscreteProcess, karras_sigmas
from enpointe.diffusion.solvers import SOLVERS
from enpointe.diffusion.step import Step

START = torch.ones(2, 6, 4)
STEPS = 6


@dataclass
class Counting:
    """Draws from one generator, and counts."""

    draws: int = 0
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def __call__(self, shape: Sequence[int]) -> Tensor:
        self.draws += 1
        return torch.randn(tuple(shape), generator=self.generator)


def solve(name: str) -> Callable[..., Iterator[Step]]:
    return lambda **options: SOLVERS[name](lambda x, _: x / 2, START, karras_sigmas(STEPS, 0.1, 5.0), **options)


def discrete(**options: object) -> Iterator[Step]:
    return ddpm(lambda x, _: x / 2, DiscreteProcess("cosine", 32, str(STEPS)), START, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "used"),
    [(solve("heun"), 0), (solve("dpm2"), 0), (solve("ancestral"), STEPS - 1), (discrete, STEPS - 1)],
    ids=["heun", "dpm2", "ancestral", "ddpm"],
)
def test_one_draw_a_step(run: Callable[..., Iterator[Step]], used: int) -> None:
    few, every = Counting(), Counting()
    (*_, one), (*_, other) = run(noise=few), run(noise=every, draw_unused=True)
    assert (few.draws, every.draws) == (used, STEPS)
    assert torch.equal(one.x, other.x)
