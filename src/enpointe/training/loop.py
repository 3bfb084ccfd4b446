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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from enpointe.checkpoints.weights import save_weights
from enpointe.core.errors import InputError, OutputError
from enpointe.core.files import replacing
from enpointe.core.precision import find_dtype
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.training.checkpoint import read_checkpoint, save_checkpoint
from enpointe.training.compiling import Objective
from enpointe.training.ema import EMA
from enpointe.training.feed.feed import Feed
from enpointe.training.feed.opening import open_feed
from enpointe.training.log import Log
from enpointe.training.low_rank import merged
from enpointe.training.optimizers import build_optimizers
from enpointe.training.parallel import Group
from enpointe.training.precision import autocast
from enpointe.training.run_state import RunState
from enpointe.training.seeds import seed_layers, share, torch_generator
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Task
from enpointe.training.validation import Validation, save_image

E = TypeVar("E")


def train_task(
    task: Task[E],
    settings: Settings[E],
    run: Path,
    *,
    device: torch.device,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    recipe: str | None = None,
    report: Callable[[str], None] = print,
    progress: ProgressCallback = no_progress,
    group: Group | None = None,
) -> Path:
    """Train until the budget is spent or a signal comes, and leave the best weights.

    Args:
        run: the run's folder: `best.safetensors` (the average with the lowest held-out loss),
            `checkpoint.pt`, `log/` (tensorboard), `images/`, `run_state.json`.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; at least one.
        recipe: its name, for the header of the weights.
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
    """
    group = group or Group()
    _check(settings, run, minutes, steps, resume, group)
    if not group.leads:
        report, progress = _silent, no_progress
    training = _Run(task, settings, run, device, group, report, progress, recipe=recipe, resume=resume)
    try:
        training.train(minutes, steps, progress)
    finally:
        training.feed.close()
    return training.best


def _check(
    settings: Settings[E], run: Path, minutes: float | None, steps: int | None, resume: bool, group: Group
) -> None:
    budgets = [budget for budget in (minutes, steps) if budget is not None]
    if not budgets or min(budgets) <= 0:
        raise InputError(f"training: expected a budget of minutes or steps above 0, found {budgets or 'neither'}")
    smallest = min(phase.batch for phase in settings.phases)
    if group.size > smallest:
        raise InputError(f"processes: expected at most {smallest}, a batch's examples, found {group.size}")
    if (run / "checkpoint.pt").exists() != resume:
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
        *,
        recipe: str | None,
        resume: bool,
    ) -> None:
        self.task, self.settings, self.folder, self.device = task, settings, folder, device
        self.group, self.report, self.recipe = group, report, recipe
        self.best = folder / "best.safetensors"
        self.dtype = find_dtype(settings.dtype, device)
        self.validation = Validation(task, settings, device, self.dtype)
        self.feed: Feed[E] = open_feed(task, settings, device, self.dtype, group, progress)
        try:  # all that the data can lack has shown by now: nothing is written before
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: expected a folder to write a run into, found {error}") from error
        self.network = task.network.to(device)
        self.ema = EMA(self.network, settings.ema)
        self.optimizers = build_optimizers(
            self.network, settings.optimizer, settings.learning_rate, settings.weight_decay, settings.muon_scale
        )
        self.state = RunState()
        if resume:
            self._resume()
        self.state.held_out = self.validation.fingerprint

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        saved, feeds = read_checkpoint(path, self.network, self.ema, self.optimizers, self.device)
        self.state = state = RunState(**saved)
        note = ""
        try:
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
            started = time.monotonic()
            while state.spent(minutes, steps) < 1 and not stopped:
                spent = state.spent(minutes, steps)
                phase, rate = settings.phase(spent), settings.rate(state.step, spent)
                loss, norm = self._step(objective, phase, rate)
                state.step += 1
                state.examples += phase.batch
                state.seconds += time.monotonic() - started
                save = False
                if group.leads:  # what follows is not training: it is not counted into the minutes
                    progress(_progress(state, minutes, steps))
                    if state.step % 20 == 0:
                        self._report_step(log, float(loss), float(norm), rate)
                    self._periodic_jobs(log)
                    save = state.due("checkpoint", settings.checkpoint_every)
                state.seconds, (stopped, save) = group.agree(state.seconds, stop.is_set(), save)
                if save and not stopped:
                    self._save()
                started = time.monotonic()
            if group.leads:
                self._validate(log)
            self._save()
            if group.leads:
                self._save_image(log)
                with replacing(self.folder / "run_state.json") as file:
                    file.write(json.dumps(vars(state), indent=1).encode())

    def _step(self, objective: Objective, phase: Phase[E], rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; the loss and the gradient's norm."""
        for optimizer in self.optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate * parameters["scale"]
        group = self.group
        seed, step = self.settings.seed, self.state.step
        seed_layers(seed, step, group.rank)
        generator = torch_generator(self.device, seed, step, group.rank)
        with torch.no_grad(), autocast(self.device, self.dtype):
            batch = self.task.prepare(self.feed.batch(step, phase), phase.examples, generator, training=True)
        loss = objective(batch).mean()
        group.average(self.network, share(phase.batch, group.rank, group.size) / phase.batch)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        if torch.isfinite(norm):  # a step that overflowed is left out
            for optimizer in self.optimizers:
                optimizer.step()
            self.ema.update(self.network)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return loss, norm

    @contextlib.contextmanager
    def _log(self) -> Iterator[Log]:
        log = Log(self.folder / "log" if self.group.leads else None)
        try:
            yield log
        finally:
            log.close()

    def _report_step(self, log: Log, loss: float, norm: float, rate: float) -> None:
        state = self.state
        log.scalars(state.step, {"loss": loss, "gradient norm": norm, "learning rate": rate})
        self.report(f"step {state.step} minute {state.seconds / 60:.2f} loss {loss:.4f} rate {rate:.2e}")

    def _periodic_jobs(self, log: Log) -> None:
        if self.state.due("validate", self.settings.validate_every):
            self._validate(log)
        if self.state.due("image", self.settings.image_every):
            self._save_image(log)

    def _save(self) -> None:
        """Every process takes part; the leader writes."""
        feeds = self.group.gather(self.feed.state_dict())
        if self.group.leads:
            path = self.folder / "checkpoint.pt"
            save_checkpoint(path, self.network, self.ema, self.optimizers, vars(self.state), feeds)

    def _save_image(self, log: Log) -> None:
        path = self.folder / "images" / f"{self.state.step:07d}.png"
        save_image(self.task, self.network, self.ema, path, log, self.state.step)

    def _validate(self, log: Log) -> None:
        """Write the averaged weights if they are the best so far."""
        state = self.state
        loss, details = self.validation(self.network, self.ema)
        minutes = state.seconds / 60
        self.report(f"step {state.step} minute {minutes:.1f} held-out loss {loss:.4f} {details}")
        log.scalars(state.step, {"held-out/loss": loss, **{f"held-out/{name}": v for name, v in details.items()}})
        if loss < state.best:
            state.best = loss
            about = {
                "recipe": self.recipe,
                "steps": state.step,
                "examples": state.examples,
                "minutes": round(minutes, 1),
                "device": self.device.type,
                "seed": self.settings.seed,
                "held_out_loss": round(loss, 5),
            }
            info = {**self.task.network_info, "training": about}
            save_weights(self.best, merged(self.ema.state), info, storage="float32")


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
