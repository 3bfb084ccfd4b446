"""A recipe, and a run of one: what `enpointe train` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.datasets import Dataset, open_dataset
from enpointe.data.pools import pool
from enpointe.training.changes import changed
from enpointe.training.loop import train_task
from enpointe.training.parallel import Group, cores_for, processes
from enpointe.training.settings import Settings
from enpointe.training.start import Start
from enpointe.training.task import Task, TaskConfig
from enpointe.training.tasks import RECIPES

E = TypeVar("E")

CLOUDS = 16_000
"""Objects in the pool that is made for a run without one; about 600 MB, two minutes on two cores."""


@dataclass(frozen=True)
class Recipe(Generic[E]):
    """A task, how it is trained, and how long where a run does not say: minutes on a plain CPU, or steps."""

    task: TaskConfig[E]
    settings: Settings[E]
    minutes: float | None = None
    steps: int | None = None

    def make(self, data: Dataset, run: Path) -> Task[E]:
        """The task with fresh weights; see `TaskConfig.build`."""
        return self.task.build(data, run, seed=self.settings.seed)


def train(
    name: str,
    *,
    run_dir: Path,
    data: Sequence[str | Path] = (),
    weights: Sequence[float] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    low_rank: int | None = None,
    changes: Sequence[str] = (),
    device: str = "auto",
    n_processes: int = 1,
    report: Callable[[str], None] = print,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Run a recipe.

    Args:
        name: one of `RECIPES`.
        run_dir: where checkpoints, logs, images and weights go.
        data: pools and shards made by `enpointe data build`; without any, a pool is made, once, beside the run.
        weights: of several data: examples come from them in proportion to these; None: equally often.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; without either
            the recipe's minutes.
        resume: continue the run that is in `run_dir`.
        init: a weight file of the same network, or a name that stands for one ("pocket-base",
            "base40M-textvec"), to start from in place of random weights.
        low_rank: learn only factors of this rank beside the network's matrices, see `training.low_rank`; a resumed
            run has to be given the same.
        changes: of the recipe's settings, see `changed`; again, the same for a resumed run.
        n_processes: that share every step, on a CPU; each holds the pool in its memory.
        report: takes the run's lines, such as its losses.
        progress: called as data are made and steps are done.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no such recipe, a run that is not as `resume` says, both `resume` and `init`, data that the
            recipe cannot learn from, or several
            processes where there are not as many cores or where the device is no CPU.
        WeightsError: `init` is damaged, or of another network.
    """
    recipe = RECIPES[name]
    changed(recipe.settings, changes)
    if resume and init is not None:
        raise InputError("training: expected a run to resume or weights to start from, found both")
    found = find_device(device)
    if n_processes != 1 and found.type != "cpu":
        raise InputError(f"processes: expected 1 on {found.type}, found {n_processes}")
    cores_for(n_processes)
    if not data:
        made = run_dir.parent / "pool.safetensors"
        if not made.exists():
            report(f"making {CLOUDS} objects: {made}")
            made.parent.mkdir(parents=True, exist_ok=True)
            pool.build(made, n_clouds=CLOUDS, progress=progress)
        data = (made,)
    source = Source(tuple(data), None if weights is None else tuple(weights))
    if minutes is None and steps is None:
        minutes, steps = recipe.minutes, recipe.steps
    recipe.task.make_data(source.open(), run_dir, progress)
    start = Start(None if init is None else str(init), low_rank, tuple(changes))
    work = partial(_train, name, source, start, run_dir, device=found, minutes=minutes, steps=steps, resume=resume)
    with processes(n_processes, work) as group:
        return work(group, report=report, progress=progress)


@dataclass(frozen=True)
class Source:
    """Where a run's data are, and how often examples come from each place."""

    places: tuple[str | Path, ...]
    weights: tuple[float, ...] | None

    def open(self) -> Dataset:
        """See `open_dataset`."""
        if len(self.places) == 1 and self.weights is None:
            return open_dataset(self.places[0])
        return open_dataset(self.places, self.weights)


def _train(
    name: str, source: Source, start: Start, run_dir: Path, group: Group, *, resume: bool, **options: Any
) -> Path:
    """What every process of a run does."""
    keep_freed_memory()
    recipe = RECIPES[name]
    task = recipe.make(source.open(), run_dir)
    start.apply(task, recipe.task, run_dir / "best.safetensors" if resume else None)
    settings = changed(recipe.settings, start.changes)
    return train_task(task, settings, run_dir, recipe=name, group=group, resume=resume, **options)
