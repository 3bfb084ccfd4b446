"""Which feed a run has."""

from __future__ import annotations

from typing import TypeVar

import torch

from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.datasets import PoolDataset, parts_of
from enpointe.training.clouds import CloudTask
from enpointe.training.feed.feed import Feed
from enpointe.training.feed.resident import ResidentFeed
from enpointe.training.feed.streaming import StreamingFeed
from enpointe.training.parallel import Group
from enpointe.training.settings import Settings
from enpointe.training.task import Task

E = TypeVar("E")


def open_feed(
    task: Task[E],
    settings: Settings[E],
    device: torch.device,
    dtype: torch.dtype,
    group: Group,
    progress: ProgressCallback = no_progress,
) -> Feed[E]:
    """The feed that the settings name.

    Raises:
        InputError: an unknown one, a task or data that it cannot be made of, or nothing to learn from.
    """
    kind = settings.feed
    if kind == "auto":
        fits = isinstance(task, CloudTask) and all(isinstance(part, PoolDataset) for part in parts_of(task.data))
        kind = "resident" if device.type == "cuda" and fits else "stream"
    if kind == "stream":
        return StreamingFeed(
            task, seed=settings.seed, device=device, dtype=dtype, rank=group.rank, ranks=group.size,
            workers=settings.workers,
        )  # fmt: skip
    if kind == "resident":
        return ResidentFeed(
            task, appearances=settings.appearances, seed=settings.seed, device=device, dtype=dtype, rank=group.rank,
            ranks=group.size, workers=settings.workers, progress=progress,
        )  # fmt: skip
    raise InputError(f"feed: expected auto, stream or resident, found {kind!r}")
