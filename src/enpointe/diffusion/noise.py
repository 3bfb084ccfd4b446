"""Randomness that belongs to a sample, not to its batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from enpointe.core.errors import InputError


class SeededNoise:
    """Standard normal draws, each sample from a generator of its own.

    Sample i of a batch is what its seed gives alone, in any batch, at any place in it, on any
    device: numbers are drawn on the CPU, then moved.

    Args:
        seeds: one for each sample, 0 <= seed < 2**63.
        device: where the draws are wanted.

    Raises:
        InputError: no seeds, or one out of range.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        if not seeds:
            raise InputError("seeds: expected at least one, found none")
        for seed in seeds:
            if not 0 <= seed < 2**63:
                raise InputError(f"seed: expected an integer from 0 to 2**63 - 1, found {seed}")
        self.device = torch.device(device)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, shape: Sequence[int]) -> Float32[Tensor, "*shape"]:
        """The next draw: shape (N, ...), N the number of seeds -> float32 of that shape.

        Raises:
            InputError: another N.
        """
        if len(shape) == 0 or shape[0] != len(self._generators):
            raise InputError(f"noise: expected a shape of {len(self._generators)} samples, found {tuple(shape)}")
        draws = [torch.randn(tuple(shape[1:]), generator=generator) for generator in self._generators]
        return torch.stack(draws).to(self.device)
