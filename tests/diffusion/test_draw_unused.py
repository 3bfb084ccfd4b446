"""`draw_unused` draws in every step, as the release does, and changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.schedule import KarrasSchedule

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


@pytest.mark.parametrize(("name", "used"), [("heun", 0), ("dpm2", 0), ("ancestral", STEPS - 1), ("ddpm", STEPS - 1)])
def test_one_draw_a_step(name: str, used: int) -> None:
    few, every = Counting(), Counting()

    def end(noise: Counting, **options: bool) -> Tensor:
        sampler = make_sampler(name, **options)
        *_, last = sampler(lambda x, _: x / 2, START, KarrasSchedule(0.1, 5.0)(STEPS), noise=noise)
        return last.x

    assert torch.equal(end(few), end(every, draw_unused=True))
    assert (few.draws, every.draws) == (used, STEPS)
