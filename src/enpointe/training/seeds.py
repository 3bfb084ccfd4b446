"""All randomness of a run: functions of (seed, step, rank), so that a resumed run sees what it would have seen."""

from __future__ import annotations

import numpy as np
import torch

PREPARE, LAYERS, FEED = range(3)
"""What draws are for: those for different uses are independent."""


def numpy_rng(seed: int, step: int, rank: int = 0, *, training: bool = True) -> np.random.Generator:
    """For what is drawn on the CPU."""
    return np.random.default_rng((seed, step, int(training), rank))


def torch_generator(
    device: torch.device, seed: int, step: int, rank: int = 0, *, training: bool = True, use: int = PREPARE
) -> torch.Generator:
    """For what is drawn on a device."""
    return torch.Generator(device).manual_seed(_number(seed, step, rank, training, use))


def seed_layers(seed: int, step: int, rank: int = 0) -> None:
    """Seeds what layers draw for themselves, such as dropout."""
    torch.manual_seed(_number(seed, step, rank, True, LAYERS))


def _number(seed: int, step: int, rank: int, training: bool, use: int) -> int:
    words = np.random.SeedSequence((seed, step, rank, int(training), use)).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def share(batch: int, rank: int, size: int) -> int:
    """How many of a batch's examples one of `size` processes takes: as many as each other one, or one more."""
    return batch // size + (rank < batch % size)
