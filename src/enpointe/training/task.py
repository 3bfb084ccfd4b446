"""What the training loop knows of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.checkpoints.registry import ASSETS
from enpointe.checkpoints.weights import Weights, read_weights
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.datasets.dataset import Dataset
from enpointe.data.example import Example

Batch = Mapping[str, Tensor]
E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)


class Collated(NamedTuple):
    """Examples of a step, on the CPU.

    Attributes:
        arrays: what the task needs of them, by name.
        captions: of each one, if the task reads text: the feed puts their features in, as "text" (n, L, 384).
    """

    arrays: Batch
    captions: Sequence[str] = ()


class Losses(NamedTuple):
    """What a network makes of N examples.

    Attributes:
        value: (N,), the objective.
        noise_level: (N,) from 0 (clean) to 1 (noise) where examples have noise; the loss is then also reported by
            quarter of it.
        metrics: other quantities (N,) by name, without gradient; validation gives their means.
    """

    value: Tensor
    noise_level: Tensor | None = None
    metrics: Mapping[str, Tensor] = MappingProxyType({})


class Task(Protocol[E_contra]):
    """One network, its data and its objective.

    How examples are drawn is set by a frozen dataclass of the task's own, the `settings` here, which each phase of
    the training carries.
    """

    network: nn.Module
    network_info: dict[str, Any]
    """Kind and config, as a weight file states them."""
    data: Dataset
    """What it learns from: the data that it was made with, or a part of them, with weights of its own."""
    text_tokens: int
    """L of the "text" that a batch gets: (n, L, 384) float32, the features of each caption, see
    `TextEncoder.condition`; zeros are no text. 0 for a task that reads none."""

    def collate(
        self, examples: Sequence[Example], settings: E_contra, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Examples as arrays, on the CPU, a function of its arguments alone.

        Worker processes call it: where it is no static method, it is an object that holds no network.

        Raises:
            InputError: the examples lack what the task needs.
        """
        ...

    def prepare(self, batch: Batch, settings: E_contra, generator: torch.Generator, *, training: bool) -> Batch:
        """What is done to a batch on the training device, without gradients, before the network.

        All that is random (noise, levels, augmentation) comes from the generator, which is on that device.
        """
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
    def build(self, data: Dataset, run: Path, *, seed: int) -> Task[E]:
        """The task, its network with fresh weights.

        Args:
            data: a pool, shards, or a mixture of them.
            run: the run's folder, with what `make_data` wrote there.
            seed: of the weights.

        Raises:
            InputError: data that the task cannot learn from; names what they lack.
        """

    def read_init(self, init: str) -> Weights:
        """Weights of this network to start from.

        Args:
            init: a weight file's path, or the name of one that comes with the package, such as "pocket-layout".

        Raises:
            WeightsError: there is none, or it is damaged.
        """
        path, embedded = Path(init), ASSETS / f"{init}.safetensors"
        return read_weights(embedded if embedded.is_file() and not path.is_file() else path)

    def make_data(self, data: Dataset, run: Path, progress: ProgressCallback = no_progress) -> None:
        """Writes into the run's folder what `build` reads there, and continues where an earlier call was stopped.

        Most tasks learn from the data alone, and need nothing.

        Raises:
            InputError: data that this cannot be made of.
        """
