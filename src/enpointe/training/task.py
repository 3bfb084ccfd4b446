"""What the training loop knows of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


class Losses(NamedTuple):
    """Per sample: the objective (N,), and the level (N,) in 0..1 that validation sorts it by."""

    value: Tensor
    level: Tensor


class Task(Protocol):
    """One network, its data and its objective.

    `batch` is a pure function of the generator, so that a resumed run sees the same examples.
    """

    name: str
    network: nn.Module
    network_info: dict[str, Any]
    """Kind and config, as a weight file states them."""

    def batch(self, rng: np.random.Generator, n: int, n_points: int, *, training: bool) -> Batch:
        """`n` examples on the CPU, drawn from the training or the held-out objects."""
        ...

    def prepare(self, batch: Batch) -> Batch:
        """What is done to a batch on the training device, without gradients, before the network."""
        ...

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """The objective of every example."""
        ...

    def picture(self, network: nn.Module) -> NDArray[np.uint8]:
        """A grid of what the network makes now, (h, w, 3)."""
        ...
