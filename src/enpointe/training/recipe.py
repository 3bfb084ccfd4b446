"""A recipe, and a run of one: what `enpointe train` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from enpointe.core.changes import changed
from enpointe.core.config import from_dict
from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import InputError
from enpointe.core.files import read_bytes
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.datasets import Dataset, open_dataset
from enpointe.data.pools import pool
from enpointe.training.loop import RECIPE, train_task
from enpointe.training.parallel import Group, check_processes, launched, launched_group, processes
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

    def changed(self, changes: Sequence[str]) -> Recipe[E]:
        """With other values, each NAME=VALUE: of the settings ("learning_rate=1e-3", "phases.0.batch=8"), "batch" of
        every phase, or of the task ("network.width=128").

        Raises:
            InputError: see `core.changes.changed`.
        """
        recipe, ours = self, {field.name for field in fields(Settings)}
        for change in changes:
            name = change.partition("=")[0]
            if name == "batch":
                for phase in range(len(recipe.settings.phases)):
                    recipe = changed(recipe, f"settings.phases.{phase}.{change}")
            else:
                recipe = changed(recipe, f"{'settings' if name.partition('.')[0] in ours else 'task'}.{change}")
        return recipe


@dataclass(frozen=True)
class Plan:
    """What a run is: `recipe.json` keeps it, so that a resumed run goes on as it was begun.

    Attributes:
        recipe: one of `RECIPES`.
        init, low_rank: see `Start`.
        changes: see `Recipe.changed`.
        data: pools and shards.
        weights: of several data: how often examples come from each; None: equally often.
        minutes, steps: the whole budget.
    """

    recipe: str
    init: str | None = None
    low_rank: int | None = None
    changes: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None
    minutes: float | None = None
    steps: int | None = None

    def open_data(self) -> Dataset:
        """See `open_dataset`."""
        if len(self.data) == 1 and self.weights is None:
            return open_dataset(self.data[0])
        return open_dataset(self.data, self.weights)

    @staticmethod
    def read(run: Path, recipe: str) -> Plan:
        """That of a run's folder; a new one where there is none.

        Raises:
            InputError: it is damaged, or of another recipe.
        """
        path = run / RECIPE
        if not path.exists():
            return Plan(recipe)
        try:
            found = json.loads(read_bytes(path))
            plan = from_dict(Plan, {field.name: found[field.name] for field in fields(Plan)})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: expected what a run is, found {error!r}") from error
        if plan.recipe != recipe:
            raise InputError(f"{run}: expected a run of {recipe}, found one of {plan.recipe}")
        return plan


def train(
    name: str,
    *,
    run_dir: Path,
    data: Sequence[str | Path] = (),
    weights: Sequence[float] | None = None,
    changes: Sequence[str] = (),
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    cool_down: float | None = None,
    init: str | Path | None = None,
    low_rank: int | None = None,
    device: str = "auto",
    n_processes: int = 1,
    report: Callable[[str], None] = print,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Run a recipe.

    Args:
        name: one of `RECIPES`.
        run_dir: where checkpoints, logs, images and weights go.
        data: pools and shards made by `enpointe data build`; without any, those of the run that is resumed, or a
            pool that is made, once, beside the run.
        weights: of several data: examples come from them in proportion to these; None: equally often.
        changes: see `Recipe.changed`; those of a resumed run are kept.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; without either that of the
            resumed run, or the recipe's minutes.
        resume: continue the run that is in `run_dir`.
        cool_down: of a resumed run: end it in so many minutes from where it stands, see `train_task`.
        init: a weight file of the same network, or a name that stands for one ("pocket-layout",
            "base40M-textvec"), to start from in place of random weights.
        low_rank: learn only factors of this rank beside the network's matrices, see `training.low_rank`.
        n_processes: that share every step, on a CPU's cores or on GPUs, each with the data in its memory; 1 under
            torchrun, which starts them itself.
        report: takes the run's lines, such as its losses.
        progress: called as data are made and steps are done.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no such recipe or value, a run that is not as `resume` says, both `resume` and `init`, data that the
            recipe cannot learn from, or more processes than cores or GPUs. Nothing is written then.
        WeightsError: `init` is missing, damaged, or of another network.
        TrainingError: see `train_task`.
    """
    recipe = RECIPES[name]
    if resume and init is not None:
        raise InputError("training: expected a run to resume or weights to start from, found both")
    found = find_device(device)
    if launched() and n_processes != 1:
        raise InputError(f"processes: expected 1 under torchrun, which starts them, found {n_processes}")
    check_processes(n_processes, found)
    plan = Plan.read(run_dir, name) if resume else Plan(name, None if init is None else str(init), low_rank)
    if low_rank not in (None, plan.low_rank):
        raise InputError(f"resume: expected the run's own low rank, {plan.low_rank}, found {low_rank}")
    plan = replace(plan, changes=(*plan.changes, *changes))
    recipe = recipe.changed(plan.changes)
    if data:
        plan = replace(plan, data=tuple(map(str, data)), weights=None if weights is None else tuple(weights))
    if minutes is not None or steps is not None:
        plan = replace(plan, minutes=minutes, steps=steps)
    elif plan.minutes is None and plan.steps is None:
        plan = replace(plan, minutes=recipe.minutes, steps=recipe.steps)
    made = None if plan.data else run_dir.parent / "pool.safetensors"
    if made is not None:
        plan = replace(plan, data=(str(made),))

    def make_data() -> None:
        if made is not None and not made.exists():
            report(f"making {CLOUDS} objects: {made}")
            made.parent.mkdir(parents=True, exist_ok=True)
            pool.build(made, n_clouds=CLOUDS, progress=progress)
        recipe.task.make_data(plan.open_data(), run_dir, progress)

    work = partial(_train, plan, run_dir, device=found, resume=resume, cool_down=cool_down)
    if launched():
        with launched_group(found) as group:
            if group.leads:
                make_data()
            group.agree(0.0)  # now they are there for all
            return work(group, report=report, progress=progress)
    make_data()
    with processes(n_processes, work, found) as group:
        return work(group, report=report, progress=progress)


def _train(plan: Plan, run_dir: Path, group: Group, *, device: torch.device, resume: bool, **options: Any) -> Path:
    """What every process of a run does."""
    keep_freed_memory()
    recipe = RECIPES[plan.recipe].changed(plan.changes)
    task = recipe.make(plan.open_data(), run_dir)
    best = run_dir / "best.safetensors"
    Start(plan.init, plan.low_rank).apply(task, recipe.task, best if resume and best.is_file() else None)
    return train_task(
        task, recipe.settings, run_dir, device=group.place(device), recipe=asdict(plan), minutes=plan.minutes,
        steps=plan.steps, resume=resume, group=group, **options,
    )  # fmt: skip
