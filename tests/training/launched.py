"""A recipe of a tiny task, run by torchrun: launched.py POOL RUN --steps N [--resume] [--kill STEP].

With --kill, the process of rank 1 is killed in that step.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enpointe.core.errors import TrainingError
from enpointe.data.datasets import Dataset, PoolDataset
from enpointe.training import recipe as recipes
from enpointe.training.recipe import Recipe
from enpointe.training.task import TaskConfig
from enpointe.training.tasks import RECIPES
from training import tiny


@dataclass(frozen=True)
class Config(TaskConfig[Any]):
    kill_at: int = 0

    def build(self, data: Dataset, run: Path, *, seed: int) -> Any:
        assert isinstance(data, PoolDataset)

        def on_step(step: int) -> None:
            if step == self.kill_at and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGKILL)

        return tiny.TinyTask(data.pool, on_step)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool")
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill", type=int, default=3)
    options = parser.parse_args()
    sys.modules["torch.utils.tensorboard"] = None  # type: ignore[assignment]
    done = 3 if options.resume else 0
    kill = options.kill - done + 1 if options.kill > done else 0
    RECIPES.register("tiny")(Recipe(Config(kill), tiny.SETTINGS, minutes=1))
    try:
        recipes.train(
            "tiny", run_dir=options.run, data=[options.pool], steps=options.steps, resume=options.resume, device="cpu"
        )
    except TrainingError as error:
        print(f"TrainingError: {str(error).partition(': ')[2]}", flush=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
