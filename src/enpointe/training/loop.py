"""One training loop for every task: budgeted in minutes or steps, killed and resumed at will.

Every random draw is a function of (seed, step, rank), and a checkpoint holds all that changes, the place in the data
among it; a run that was killed and resumed is the run that was never killed.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch

from enpointe.checkpoints.weights import save_weights
from enpointe.core.errors import InputError, OutputError, TrainingError
from enpointe.core.files import replacing
from enpointe.core.precision import dtype_name, find_dtype
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.training.checkpoint import read_checkpoint, restore, save_checkpoint
from enpointe.training.compiling import Objective
from enpointe.training.ema import EMA
from enpointe.training.feed.feed import Feed
from enpointe.training.feed.opening import open_feed
from enpointe.training.log import Log
from enpointe.training.low_rank import merged
from enpointe.training.meter import Health, Meter
from enpointe.training.optimizers import build_optimizers, take_step
from enpointe.training.parallel import Group
from enpointe.training.precision import autocast
from enpointe.training.run_state import RunState
from enpointe.training.seeds import seed_layers, share, torch_generator
from enpointe.training.settings import Phase, Settings
from enpointe.training.speed import Speed, speed_words
from enpointe.training.task import Task
from enpointe.training.validation import Validation, save_image

E = TypeVar("E")

CHECKPOINT, RECIPE = "checkpoint.pt", "recipe.json"
REPORT_EVERY = 20
"""Steps."""


def train_task(
    task: Task[E],
    settings: Settings[E],
    run: Path,
    *,
    device: torch.device,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    cool_down: float | None = None,
    recipe: Mapping[str, Any] = MappingProxyType({}),
    report: Callable[[str], None] = print,
    progress: ProgressCallback = no_progress,
    group: Group | None = None,
) -> Path:
    """Train until the budget is spent or a signal comes, and leave the best weights.

    Args:
        run: the run's folder: `best.safetensors` (the average with the lowest held-out loss), `latest.safetensors`
            (an average of now, in float16), `checkpoint.pt`, `recipe.json`, `log/` (tensorboard), `images/`,
            `run_state.json`.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; at least one.
        cool_down: of a resumed run: end it in so many minutes from where it stands, the learning rate falling to 0;
            in place of a budget.
        recipe: what the run is, as JSON can hold it, for `recipe.json` and the header of the weights.
        report: takes the run's lines: losses, and what is out of the ordinary.
        progress: called after each step.
        group: the processes that take the steps together, see `parallel.processes`; each calls this function
            with its own, and equal other arguments.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no budget, or none above 0; a run that exists and is not resumed, or the other way round;
            more processes than examples in a batch; Muon for a network without hidden matrices; data without what
            the task needs. Nothing is written then.
        OutputError: the folder cannot be written.
        WeightsError: the checkpoint to resume from is damaged, or of another network.
        TrainingError: the losses are no longer finite, or far above what they were. The last good state is kept.
    """
    group = group or Group()
    budget = (minutes, steps) if cool_down is None else (cool_down, None)
    _check(settings, run, budget, resume, group)
    if not group.leads:
        report, progress = _silent, no_progress
    saved = read_checkpoint(run / CHECKPOINT, device) if resume else None
    if cool_down is not None:
        if saved is None:
            raise InputError("cool-down: expected a run to resume, found a new one")
        before = float(saved["run_state"]["seconds"]) / 60
        minutes, steps = before + cool_down, None
        change = f"cooldown={cool_down / minutes}"
        settings = replace(settings, cooldown=cool_down / minutes)
        recipe = {**recipe, "changes": [*recipe.get("changes", ()), change]}  # so that it can be resumed as well
    training = _Run(task, settings, run, device, group, report, progress, dict(recipe), saved)
    try:
        training.train(minutes, steps, progress)
    finally:
        training.feed.close()
    return training.best


def _check(
    settings: Settings[E], run: Path, budget: tuple[float | None, int | None], resume: bool, group: Group
) -> None:
    budgets = [part for part in budget if part is not None]
    if not budgets or min(budgets) <= 0:
        raise InputError(f"training: expected a budget of minutes or steps above 0, found {budgets or 'neither'}")
    smallest = min(phase.batch for phase in settings.phases)
    if group.size > smallest:
        raise InputError(f"processes: expected at most {smallest}, a batch's examples, found {group.size}")
    if (run / CHECKPOINT).exists() != resume:
        raise InputError(
            f"{run}: expected {'a run to resume' if resume else 'a new folder, or --resume'}, "
            f"found {'none' if resume else 'a run'}"
        )


class _Run(Generic[E]):
    """A run's state, and what is done to it."""

    def __init__(
        self,
        task: Task[E],
        settings: Settings[E],
        folder: Path,
        device: torch.device,
        group: Group,
        report: Callable[[str], None],
        progress: ProgressCallback,
        recipe: dict[str, Any],
        saved: dict[str, Any] | None,
    ) -> None:
        self.task, self.settings, self.folder, self.device = task, settings, folder, device
        self.group, self.report, self.recipe = group, report, recipe
        self.best = folder / "best.safetensors"
        self.state = RunState() if saved is None else RunState(**saved["run_state"])
        # "auto" is found by measurement, which may end otherwise another time.
        same = self.state.dtype if settings.dtype == "auto" and self.state.dtype else settings.dtype
        self.dtype = find_dtype(same, device)
        self.state.dtype = dtype_name(self.dtype)
        self.validation = Validation(task, settings, device, self.dtype)
        self.feed: Feed[E] = open_feed(task, settings, device, self.dtype, group, progress)
        self.network = task.network.to(device)
        self.ema = EMA(self.network, settings.ema)
        self.optimizers = build_optimizers(
            self.network, settings.optimizer, settings.learning_rate, settings.weight_decay, settings.muon_scale
        )
        self.meter, self.health = Meter(device), Health()
        self.speed = Speed(device)
        try:  # all that the data can lack has shown by now: nothing is written before
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: expected a folder to write a run into, found {error}") from error
        if saved is not None:
            self._resume(saved)
        self.state.held_out = self.validation.fingerprint

    def _resume(self, saved: dict[str, Any]) -> None:
        state = self.state
        restore(saved, self.folder / CHECKPOINT, self.network, self.ema, self.optimizers)
        note = ""
        try:
            feeds = saved["feeds"]
            if len(feeds) != self.group.size:
                raise InputError(f"expected the feeds of {self.group.size} processes, found {len(feeds)}")
            self.feed.load_state_dict(feeds[self.group.rank])
        except InputError as error:
            note = f"; the data begin anew: {error}"
        if state.held_out != self.validation.fingerprint:
            state.best = math.inf
            note += "; other held-out examples than before: the best loss is counted anew"
        if not self.best.exists():  # then no loss has been reached that a new best must beat
            state.best = math.inf
        self.report(f"resumed at step {state.step}, {state.seconds / 60:.1f} minutes{note}")

    def train(self, minutes: float | None, steps: int | None, progress: ProgressCallback) -> None:
        """Take steps until the budget is spent or a signal comes; validate and save now and then, and at the end."""
        state, settings, group = self.state, self.settings, self.group
        objective = Objective(
            self.task,
            self.network,
            self.device,
            dtype=self.dtype,
            microbatch=settings.microbatch,
            compiled=settings.compile,
            report=self.report,
        )
        with _signals() as stop, self._log() as log:
            # All continue from here: by now each has read the checkpoint that the leader will replace.
            state.seconds, (stopped,) = group.agree(state.seconds, stop.is_set())
            if group.leads:
                self._write_recipe(minutes, steps)
            started = time.monotonic()
            while state.spent(minutes, steps) < 1 and not stopped:
                spent = state.spent(minutes, steps)
                phase = settings.phase(spent)
                state.rate = settings.rate(spent, state.rate)
                self._step(objective, phase)
                state.step += 1
                state.examples += phase.batch
                seconds = time.monotonic() - started
                state.seconds += seconds
                self.speed.add(phase.batch, seconds)
                save = lost = False
                if group.leads:  # what follows is not training: it is not counted into the minutes
                    progress(_progress(state, minutes, steps))
                    save = self._periodic_jobs(log)
                    lost = self.health.lost
                state.seconds, (stopped, save, lost) = group.agree(state.seconds, stop.is_set(), save, lost)
                if lost:
                    break
                if save and not stopped:
                    with self._reported():
                        self._save()
                started = time.monotonic()
            if group.leads:
                self._report_steps(log)
            if group.agree(state.seconds, group.leads and not self.health.good)[1][0]:
                raise TrainingError(
                    f"training: expected losses that are finite and fall, found others up to step {state.step}; "
                    f"{self.folder} holds the last good state, to be resumed with a smaller learning rate"
                )
            if group.leads:
                self._validate(log)
            self._save()
            if group.leads:
                self._save_average()
                self._save_image(log)
                with replacing(self.folder / "run_state.json") as file:
                    file.write(json.dumps(vars(state), indent=1).encode())

    def _step(self, objective: Objective, phase: Phase[E]) -> None:
        """One update."""
        group, seed, step = self.group, self.settings.seed, self.state.step
        generator = torch_generator(self.device, seed, step, group.rank)
        with torch.no_grad(), autocast(self.device, self.dtype):
            with self.speed.waiting():
                drawn = self.feed.batch(step, phase)
            batch = self.task.prepare(drawn, phase.examples, generator, training=True)
            self.speed.measure(self.task, self.network, batch, phase)
        seed_layers(seed, step, group.rank)
        losses = objective(batch)
        group.average(self.network, share(phase.batch, group.rank, group.size) / phase.batch)
        rate = self.state.rate * self.settings.learning_rate
        norm, skipped = take_step(self.network, self.optimizers, rate, self.settings.clip)
        self.ema.update(self.network)
        self.meter.add(losses, norm, skipped)

    @contextlib.contextmanager
    def _log(self) -> Iterator[Log]:
        log = Log(self.folder / "log" if self.group.leads else None)
        try:
            yield log
        finally:
            log.close()

    def _report_steps(self, log: Log) -> None:
        """What the steps since the last report gave: here, and nowhere else, the host waits for the device."""
        state, found = self.state, self.meter.read()
        if not found:
            return
        self.health.add(found["loss"])
        speed = self.speed.read()
        rate = state.rate * self.settings.learning_rate
        log.scalars(state.step, {**found, **speed, "learning rate": rate})
        line = f"step {state.step} minute {state.seconds / 60:.2f} loss {found['loss']:.4f} rate {rate:.2e}"
        self.report(f"{line} {speed_words(speed)}")

    def _periodic_jobs(self, log: Log) -> bool:
        """Whether a checkpoint is due; nothing is kept of a state that has gone astray."""
        state, settings = self.state, self.settings
        due = {
            job
            for job, every in (
                ("validate", settings.validate_every),
                ("image", settings.image_every),
                ("average", settings.average_every),
                ("checkpoint", settings.checkpoint_every),
            )
            if state.due(job, every)
        }
        if due or state.step % REPORT_EVERY == 0:
            self._report_steps(log)
        if not self.health.good:
            return False
        with self._reported():
            if "validate" in due:
                self._validate(log)
            if "average" in due:
                self._save_average()
            if "image" in due:
                self._save_image(log)
        return "checkpoint" in due

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """A disk that is full now may have room later: training goes on, with what was saved before."""
        try:
            yield
        except OutputError as error:
            self.report(f"not saved, training goes on: {error}")

    def _write_recipe(self, minutes: float | None, steps: int | None) -> None:
        about = {**self.recipe, "minutes": minutes, "steps": steps, "settings": asdict(self.settings)}
        with replacing(self.folder / RECIPE) as file:
            file.write(json.dumps(about, indent=1).encode())

    def _save(self) -> None:
        """Every process takes part; the leader writes."""
        feeds = self.group.gather(self.feed.state_dict())
        if self.group.leads:
            path = self.folder / CHECKPOINT
            save_checkpoint(path, self.network, self.ema, self.optimizers, vars(self.state), feeds)

    def _save_average(self) -> None:
        save_weights(self.folder / "latest.safetensors", self._weights(), self._header(), storage="float16")

    def _weights(self) -> dict[str, torch.Tensor]:
        """The best average, as the plain network's state dict."""
        return merged({**self.network.state_dict(), **self.ema.averages[self.state.average]})

    def _save_image(self, log: Log) -> None:
        path = self.folder / "images" / f"{self.state.step:07d}.png"
        average = self.ema.averages[self.state.average]
        save_image(self.task, self.network, average, path, log, self.state.step)

    def _validate(self, log: Log) -> None:
        """Write the averaged weights if they are the best so far."""
        state = self.state
        found = [self.validation(self.network, average) for average in self.ema.averages]
        state.average = min(range(len(found)), key=lambda i: found[i][0])
        loss, details = found[state.average]
        each = ", ".join(f"{decay:g} {one:.4f}" for decay, (one, _) in zip(self.ema.decays, found, strict=True))
        self.report(
            f"step {state.step} minute {state.seconds / 60:.1f} held-out loss {loss:.4f} {details} of averages {each}"
        )
        log.scalars(state.step, {"held-out/loss": loss, **{f"held-out/{name}": v for name, v in details.items()}})
        if loss < state.best:
            header = self._header(held_out_loss=round(loss, 5))
            save_weights(self.best, self._weights(), header, storage="float32")
            state.best = loss

    def _header(self, **more: float) -> dict[str, Any]:
        """What an average's file says of itself."""
        state = self.state
        about = {
            **self.recipe,
            "steps": state.step,
            "examples": state.examples,
            "minutes": round(state.seconds / 60, 1),
            "device": self.device.type,
            "seed": self.settings.seed,
            "ema": self.settings.ema[state.average],
            **more,
        }
        return {**self.task.network_info, "training": about}


def _progress(state: RunState, minutes: float | None, steps: int | None) -> Progress:
    """In steps where there is a budget of them, else in seconds."""
    if steps is not None:
        return Progress("train", state.step, steps)
    assert minutes is not None
    total = round(minutes * 60)
    return Progress("train", min(round(state.seconds), total), total, "s")


def _silent(_: str) -> None:
    """Reports nothing."""


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, so that a run ends between two steps with its weights saved."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
