"""Batches of a task, drawn as a feed draws them."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from enpointe.training.feed.streaming import on_device
from enpointe.training.feed.text import TextFeatures
from enpointe.training.task import Batch, Collated, Task

CPU = torch.device("cpu")


def collated(task: Task[Any], settings: Any, seed: int = 0, n: int = 6, *, training: bool = True) -> Collated:
    """What the task makes of `n` examples of its training or held-out data."""
    examples = list(islice(task.data.split(held_out=not training).stream(seed), n))
    return task.collate(examples, settings, np.random.default_rng(seed), training=training)


def drawn(task: Task[Any], settings: Any, seed: int = 0, n: int = 6, *, training: bool = True) -> Batch:
    """The same, ready for the network."""
    text = TextFeatures(CPU, task.text_tokens) if task.text_tokens else None
    batch = on_device(collated(task, settings, seed, n, training=training), CPU, text)
    return task.prepare(batch, settings, torch.Generator().manual_seed(seed), training=training)
