"""The examples of a step, and their noise: a function of (seed, step, rank) alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Task


def draw(
    task: Task, settings: Settings, step: int, phase: Phase, *, training: bool, rank: int = 0, size: int = 1
) -> Batch:
    """On the CPU; rank `rank` of `size` draws its share of the batch."""
    entropy = (settings.seed, step, int(training), *([rank] if rank else []))
    return task.batch(np.random.default_rng(entropy), share(phase.batch, rank, size), phase.n_points, training=training)


def share(batch: int, rank: int, size: int) -> int:
    """How many of a batch's examples one of `size` processes takes: as many as each other one, or one more."""
    return batch // size + (rank < batch % size)


def prepared(task: Task, batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The batch on the device, with what the task finds out there."""
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    with torch.no_grad():
        return dict(task.prepare(moved))


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 products; the weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type in ("cpu", "cuda"))
