"""The examples of a step, and their noise: a function of (seed, step, rank) alone."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from enpointe.training.settings import Phase
from enpointe.training.task import Batch, Task

E = TypeVar("E")


def draw(
    task: Task[E], phase: Phase[E], step: int, *, seed: int, training: bool, rank: int = 0, size: int = 1
) -> Batch:
    """On the CPU; rank `rank` of `size` draws its share of the batch."""
    entropy = (seed, step, int(training), *([rank] if rank else []))
    return task.batch(np.random.default_rng(entropy), share(phase.batch, rank, size), phase.examples, training=training)


def share(batch: int, rank: int, size: int) -> int:
    """How many of a batch's examples one of `size` processes takes: as many as each other one, or one more."""
    return batch // size + (rank < batch % size)


def prepared(task: Task[E], batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The batch on the device, with what the task computes there."""
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    with torch.no_grad():
        return dict(task.prepare(moved))


def autocast(device: torch.device) -> torch.autocast:
    """Products in bfloat16; the weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type in ("cpu", "cuda"))
