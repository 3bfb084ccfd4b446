"""Two processes that learn a straight line together; run as a script: python line.py RUN.

Each step has five examples, three of them the leader's. The follower gets a signal in its fourth step; the run is
then resumed to its end. RUN/alone is the run of one process with the same examples.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from enpointe.data.datasets.dataset import Dataset
from enpointe.data.datasets.epochs import EpochStream, epoch_order
from enpointe.data.example import Example
from enpointe.training import loop
from enpointe.training.feed.streaming import StreamingFeed
from enpointe.training.parallel import Group, processes
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, Task

STEPS, STOP = 10, 4
NEVER = 1e9
SETTINGS = Settings(
    (Phase(1.0, 5, None),),
    learning_rate=0.05,
    warmup=2,
    compile=False,
    dtype="float32",  # that the order of sums shows in the last digits only
    validate_every=NEVER,
    checkpoint_every=NEVER,
    image_every=NEVER,
)


@dataclass(frozen=True)
class Numbers:
    """Sixty-four examples of three numbers each."""

    rank: int = 0
    ranks: int = 1
    size: int | None = 64

    def split(self, held_out: bool) -> Self:
        return self

    def share(self, rank: int, ranks: int) -> Self:
        return replace(self, rank=rank, ranks=ranks)

    def stream(self, seed: int = 0) -> EpochStream:
        def epoch(number: int) -> NDArray[np.int64]:
            order = epoch_order(np.arange(64), None, np.random.default_rng([seed, number]))
            return np.array_split(order, self.ranks)[self.rank]

        return EpochStream(epoch, example, seed, {"rank": self.rank, "ranks": self.ranks})


def example(index: int, rng: np.random.Generator) -> Example:
    points = np.random.default_rng(index).uniform(-1, 1, (1, 3)).astype(np.float32)
    return Example(str(index), points, points, ("",))


class LineTask:
    """y = 3 x - 1 on three x at a time."""

    text_tokens = 0

    def __init__(self, stop_at: int = 0) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
        self.network_info: dict[str, Any] = {"kind": "line"}
        self.data: Dataset = Numbers()
        self._stop_at, self._seen = stop_at, 0

    @staticmethod
    def collate(examples: Sequence[Example], settings: None, rng: np.random.Generator, *, training: bool) -> Collated:
        return Collated({"x": torch.from_numpy(np.concatenate([one.points for one in examples]))})

    def prepare(self, batch: Batch, settings: None, generator: torch.Generator, *, training: bool) -> Batch:
        return batch

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        if torch.is_grad_enabled():
            self._seen += 1
            if self._seen == self._stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
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


class Joined:
    """Feeds one process with what two would draw."""

    def __init__(
        self, task: Task[None], settings: Settings[None], device: torch.device, dtype: torch.dtype, *_: object
    ) -> None:
        options: dict[str, Any] = {"seed": settings.seed, "device": device, "dtype": dtype, "ranks": 2}
        self.feeds = [StreamingFeed(task, rank=rank, **options) for rank in (0, 1)]

    def batch(self, step: int, phase: Phase[None]) -> Batch:
        parts = [feed.batch(step, phase) for feed in self.feeds]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise AssertionError("it is not resumed")

    def close(self) -> None:
        for feed in self.feeds:
            feed.close()


def main() -> None:
    run = Path(sys.argv[1])
    with processes(2, partial(stop_and_resume, run)) as group:
        stop_and_resume(run, group)
    with patch.object(loop, "open_feed", Joined):
        train(run / "alone", Group())


if __name__ == "__main__":
    sys.modules["torch.utils.tensorboard"] = None  # type: ignore[assignment]
    main()
