"""A task small enough to train in a test; run as a script, one that is killed while it writes a checkpoint.

python tiny.py POOL RUN STEP STEPS WORKERS    killed while it saves after STEP, of a budget of STEPS
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.data.datasets import PoolDataset
from enpointe.data.pools import pool
from enpointe.nn.layout import LayoutConfig
from enpointe.training.loop import train_task
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses
from enpointe.training.tasks.pocket_layout import LayoutExamples, LayoutTask, LayoutTaskConfig

CONFIG = LayoutConfig(width=32, layers=2, heads=2, tokens=8, n_points=32)
NEVER = 1e9
SETTINGS = Settings(
    (Phase(0.5, 4, LayoutExamples(32)), Phase(1.0, 2, LayoutExamples(64))),
    learning_rate=3e-3,
    warmup=3,
    compile=False,
    validate_every=NEVER,
    checkpoint_every=0.0,  # after every step
    image_every=NEVER,
)


class TinyTask(LayoutTask):
    """The layout task, which notes its losses and does not draw; `on_step` is called in every step of training."""

    def __init__(
        self, data: pool.Pool, on_step: Callable[[int], None] = lambda step: None, *, seed: int = 0, **options: Any
    ) -> None:
        super().__init__(PoolDataset(data), LayoutTaskConfig(CONFIG, **options), seed=seed)
        self.seen: list[float] = []
        self._on_step = on_step

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        found = super().losses(network, batch)
        if torch.is_grad_enabled():
            self.seen.append(float(found.value.detach().mean()))
            self._on_step(len(self.seen))
        return found

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        return np.zeros((2, 3, 3), np.uint8)


def train(data: pool.Pool, run: Path, settings: Settings[Any] = SETTINGS, *, task: Any = None, **o: Any) -> Path:
    """One run of a tiny task on the CPU, silent."""
    options = {"device": torch.device("cpu"), "recipe": {"recipe": "tiny"}, "report": lambda message: None, **o}
    return train_task(task or TinyTask(data), settings, run, **options)


def main() -> None:
    data, run, step, steps, workers = sys.argv[1:]
    torch.set_num_threads(1)
    sys.modules["torch.utils.tensorboard"] = None  # type: ignore[assignment]
    write, saves = torch.save, 0

    def killed(value: Any, path: Path) -> None:
        nonlocal saves
        saves += 1
        write(value, path)
        if saves == int(step):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(torch, "save", killed):
        train(pool.read(Path(data)), Path(run), replace(SETTINGS, workers=int(workers)), steps=int(steps))


if __name__ == "__main__":
    main()
