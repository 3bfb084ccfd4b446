"""What the training loop knows of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.pools.pool import Pool

Batch = Mapping[str, Tensor]
E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)


class Losses(NamedTuple):
    """What a network makes of N examples.

    Attributes:
        value: (N,), the objective.
        noise_level: (N,) from 0 (clean) to 1 (noise) where examples have noise; validation then also gives the loss
            by quarter of it.
        metrics: other quantities (N,) by name, without gradient; validation gives their means.
    """

    value: Tensor
    noise_level: Tensor | None = None
    metrics: Mapping[str, Tensor] = MappingProxyType({})


class Task(Protocol[E_contra]):
    """One network, its data and its objective.

    `batch` is a pure function of the generator, so that a resumed run sees the same examples. How examples are
    drawn is set by a frozen dataclass of the task's own, which each phase of the training carries.
    """

    network: nn.Module
    network_info: dict[str, Any]
    """Kind and config, as a weight file states them."""

    def batch(self, rng: np.random.Generator, n: int, examples: E_contra, *, training: bool) -> Batch:
        """`n` examples on the CPU, drawn from the training or the held-out objects."""
        ...

    def prepare(self, batch: Batch) -> Batch:
        """What is done to a batch on the training device, without gradients, before the network."""
        ...

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """The objective of every example."""
        ...

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """What the network makes now, as one image (h, w, 3)."""
        ...


class TaskConfig(ABC, Generic[E]):
    """What a task learns: its network, and of which data. Subclasses are frozen dataclasses."""

    @abstractmethod
    def build(self, data: Pool, run: Path, *, seed: int) -> Task[E]:
        """The task, its network with fresh weights.

        Args:
            run: the run's folder, with what `make_data` wrote there.
            seed: of the weights.

        Raises:
            InputError: data that the task cannot learn from.
        """

    def make_data(self, data: Pool, run: Path, progress: ProgressCallback = no_progress) -> None:
        """Writes into the run's folder what `build` reads there, and continues where an earlier call was stopped.

        Most tasks learn from the pool alone, and need nothing.
        """
