"""What is reported of held-out examples: the loss, the loss by noise level, the task's metrics, all of the average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.data.datasets.dataset import Dataset
from enpointe.data.example import Example
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses
from enpointe.training.validation import BATCHES, Validation
from training.line import Numbers

CPU = torch.device("cpu")
LEVELS = (0.1, 0.2, 0.3, 0.9)


@dataclass
class Scale:
    """The loss of an example is its noise level times the network's one weight."""

    noisy: bool = True
    network: nn.Module = field(default_factory=lambda: nn.Linear(1, 1, bias=False))
    network_info: dict[str, Any] = field(default_factory=dict)
    data: Dataset = field(default_factory=Numbers)
    text_tokens: int = 0

    @staticmethod
    def collate(
        examples: Sequence[Example], settings: tuple[float, ...], rng: np.random.Generator, *, training: bool
    ) -> Collated:
        assert not training
        return Collated({"level": torch.tensor(settings[: len(examples)])})

    def prepare(
        self, batch: Batch, settings: tuple[float, ...], generator: torch.Generator, *, training: bool
    ) -> Batch:
        assert not training
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        level = batch["level"]
        (weight,) = network.parameters()
        value: Tensor = level * weight.float()[0, 0]
        return Losses(value, level if self.noisy else None, {"far": (level > 0.5).float()})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        return np.zeros((1, 1, 3), np.uint8)


SETTINGS = Settings((Phase(1.0, len(LEVELS), LEVELS),))


def average(weight: float) -> dict[str, Tensor]:
    return {"weight": torch.tensor([[weight]])}


@pytest.mark.parametrize("noisy", [True, False])
def test_losses_are_means_by_quarter_and_metrics_means_over_all(noisy: bool) -> None:
    task = Scale(noisy)
    before = task.network.state_dict()["weight"].clone()
    loss, details = Validation(task, SETTINGS, CPU, torch.float32)(task.network, average(2.0))
    assert loss == pytest.approx(2 * np.mean(LEVELS))
    quarters = {"noise 0.00": 0.3, "noise 0.25": 0.6, "noise 0.75": 1.8}  # none lies between 0.5 and 0.75
    assert details == pytest.approx({"far": 0.25, **(quarters if noisy else {})})
    assert torch.equal(task.network.state_dict()["weight"], before)
    assert task.network.training


def test_the_fingerprint_is_of_the_examples_alone() -> None:
    one, other = Scale(), Scale(noisy=False)

    def fingerprint(task: Scale, settings: Settings[Any]) -> str:
        return Validation(task, settings, CPU, torch.float32).fingerprint

    assert fingerprint(one, SETTINGS) == fingerprint(other, SETTINGS)
    moved = Settings((Phase(1.0, len(LEVELS), (0.1, 0.2, 0.3, 0.8)),))
    assert fingerprint(one, SETTINGS) != fingerprint(one, moved)
    assert BATCHES > 1
