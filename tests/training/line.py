"""Two processes that learn a straight line together; run as a script: python line.py RUN.

Each step has five examples, three of them the leader's. The follower gets a signal in its fourth step; the run is
then resumed to its end. RUN/alone is the run of one process with the same examples.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.training import batches, loop
from enpointe.training.parallel import Group, processes
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses

STEPS, STOP = 10, 4
NEVER = 1e9
SETTINGS = Settings(
    (Phase(1.0, 5, None),),
    learning_rate=0.05,
    warmup=2,
    compile=False,
    validate_every=NEVER,
    checkpoint_every=NEVER,
    image_every=NEVER,
)


class LineTask:
    """y = 3 x - 1 on three x at a time."""

    def __init__(self, stop_at: int = 0) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
        self.network_info: dict[str, Any] = {"kind": "line"}
        self._stop_at, self._seen = stop_at, 0

    def batch(self, rng: np.random.Generator, n: int, examples: None, *, training: bool) -> Batch:
        return {"x": torch.from_numpy(rng.uniform(-1, 1, (n, 3)).astype(np.float32))}

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        if torch.is_grad_enabled():
            self._seen += 1
            if self._seen == self._stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
        with torch.autocast("cpu", enabled=False):  # sums in float32, that the order shows in the last digits only
            value = (network(batch["x"]) - (3 * batch["x"] - 1)).square().mean(1)
        return Losses(value, torch.zeros(len(value)))

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        return np.zeros((2, 3, 3), np.uint8)


def train(run: Path, group: Group, *, stop_at: int = 0, resume: bool = False) -> None:
    task = LineTask(stop_at)
    options: dict[str, Any] = {"device": torch.device("cpu"), "steps": STEPS}
    loop.train_task(task, SETTINGS, run, group=group, resume=resume, **options)


def stop_and_resume(run: Path, group: Group) -> None:
    """What each process does; only the follower gets a signal."""
    assert group.size == 2
    assert torch.get_num_threads() == len(os.sched_getaffinity(0))
    train(run / "two", group, stop_at=0 if group.leads else STOP)
    if group.leads:
        (run / "stopped.pt").write_bytes((run / "two" / "checkpoint.pt").read_bytes())
    group.agree(0.0, False)  # the leader has saved
    train(run / "two", group, resume=True)


def joined(task: LineTask, phase: Phase[None], step: int, *, seed: int, training: bool, **_: int) -> Batch:
    """What two processes draw, in one batch."""
    parts = [batches.draw(task, phase, step, seed=seed, training=training, rank=rank, size=2) for rank in (0, 1)]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def main() -> None:
    run = Path(sys.argv[1])
    with processes(2, partial(stop_and_resume, run)) as group:
        stop_and_resume(run, group)
    with patch.object(loop, "draw", joined):
        train(run / "alone", Group())


if __name__ == "__main__":
    sys.modules["torch.utils.tensorboard"] = None  # type: ignore[assignment]
    main()
