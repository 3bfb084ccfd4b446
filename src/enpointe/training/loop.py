"""One training loop for every recipe: budgeted in minutes or steps, killed and resumed at will.

Every random draw is a function of (seed, step, rank), and a checkpoint holds all that changes; a run that
was killed and resumed is the run that was never killed.
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

import torch
from torch import nn

from enpointe.checkpoints.weights import save_weights
from enpointe.core.errors import InputError, OutputError
from enpointe.core.files import replacing
from enpointe.training.batches import draw, prepared, share
from enpointe.training.checkpoint import read_checkpoint, save_checkpoint
from enpointe.training.compiling import Objective
from enpointe.training.ema import EMA
from enpointe.training.held_out import fingerprint, picture, validate
from enpointe.training.log import Log
from enpointe.training.optimizers import build_optimizers
from enpointe.training.parallel import Group
from enpointe.training.settings import Phase, Progress, Settings
from enpointe.training.task import Task


def train_task(
    task: Task,
    settings: Settings,
    run: Path,
    *,
    device: torch.device,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    compile_network: bool = True,
    report: Callable[[str], None] = print,
    group: Group | None = None,
) -> Path:
    """Train until the budget is spent or a signal comes, and leave the best weights.

    Args:
        run: the run's folder: `best.safetensors` (the average with the lowest held-out loss),
            `checkpoint.pt`, `log/` (tensorboard), `pictures/`.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; at least one.
        group: the processes that take the steps together, see `parallel.processes`; each calls this function
            with its own, and equal other arguments.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no budget, or none above 0; a run that exists and is not resumed, or the other way round;
            more processes than examples in a batch.
        OutputError: the folder cannot be written.
        WeightsError: the checkpoint to resume from is damaged, or of another network.
    """
    group = group or Group()
    _check(settings, run, minutes, steps, resume, group)
    state = _Run(task, settings, run, device, group, report if group.leads else _silent, resume=resume)
    state.train(minutes, steps, compile_network=compile_network)
    return state.best


def _check(settings: Settings, run: Path, minutes: float | None, steps: int | None, resume: bool, group: Group) -> None:
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
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run}: expected a folder to write a run into, found {error}") from error


class _Run:
    """A run's state, and what is done to it."""

    def __init__(
        self,
        task: Task,
        settings: Settings,
        folder: Path,
        device: torch.device,
        group: Group,
        report: Callable[[str], None],
        *,
        resume: bool,
    ) -> None:
        self.task, self.settings, self.folder, self.device = task, settings, folder, device
        self.group, self.report = group, report
        self.best = folder / "best.safetensors"
        self.network = task.network.to(device)
        self.ema = EMA(self.network, settings.ema)
        self.optimizers = build_optimizers(
            self.network, settings.optimizer, settings.learning_rate, settings.weight_decay, settings.muon_scale
        )
        self.progress = Progress()
        held_out = fingerprint(task, settings)
        if resume:
            self._resume(held_out)
        self.progress.held_out = held_out

    def _resume(self, held_out: str) -> None:
        saved = read_checkpoint(self.folder / "checkpoint.pt", self.network, self.ema, self.optimizers, self.device)
        self.progress = progress = Progress(**saved)
        note = ""
        if progress.held_out not in ("", held_out):  # older checkpoints do not say what they were judged by
            progress.best = math.inf
            note = "; other held-out examples than before: the best loss is counted anew"
        if not self.best.exists():  # then no loss has been reached that a new best must beat
            progress.best = math.inf
        self.report(f"resumed at step {progress.step}, {progress.seconds / 60:.1f} minutes{note}")

    def train(self, minutes: float | None, steps: int | None, *, compile_network: bool) -> None:
        """Take steps until the budget is spent or a signal comes; judge and save now and then, and at the end."""
        progress, settings, group = self.progress, self.settings, self.group
        objective = Objective(self.task, self.network, self.device, compiled=compile_network, report=self.report)
        with _signals() as stop, self._log() as log:
            # All go on from here: by now each has read the checkpoint that the leader will replace.
            progress.seconds, stopped = group.agree(progress.seconds, stop.is_set())
            started = time.monotonic()
            while progress.spent(minutes, steps) < 1 and not stopped:
                spent = progress.spent(minutes, steps)
                phase, rate = settings.phase(spent), settings.rate(progress.step, spent)
                loss, norm = self._step(objective, phase, rate)
                progress.step += 1
                progress.examples += phase.batch
                progress.seconds += time.monotonic() - started
                if group.leads:  # what follows is not training: it is not counted into the minutes
                    if progress.step % 20 == 0:
                        self._tell(log, float(loss), float(norm), rate)
                    self._periodic_jobs(log)
                progress.seconds, stopped = group.agree(progress.seconds, stop.is_set())
                started = time.monotonic()
            if group.leads:
                self._validate(log)
                self._save()
                self._picture(log)
                with replacing(self.folder / "progress.json") as file:
                    file.write(json.dumps(vars(progress), indent=1).encode())

    def _step(self, objective: Objective, phase: Phase, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; the loss and the gradient's norm."""
        for optimizer in self.optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate * parameters["scale"]
        group = self.group
        batch = draw(
            self.task, self.settings, self.progress.step, phase, training=True, rank=group.rank, size=group.size
        )
        loss = objective(prepared(self.task, batch, self.device)).value.mean()
        loss.backward()
        group.average(self.network, share(phase.batch, group.rank, group.size) / phase.batch)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        if torch.isfinite(norm):  # a step that overflowed is left out
            for optimizer in self.optimizers:
                optimizer.step()
            self.ema.update(self.network)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return loss.detach(), norm

    @contextlib.contextmanager
    def _log(self) -> Iterator[Log]:
        log = Log(self.folder / "log" if self.group.leads else None)
        try:
            yield log
        finally:
            log.close()

    def _tell(self, log: Log, loss: float, norm: float, rate: float) -> None:
        progress = self.progress
        log.scalars(progress.step, {"loss": loss, "gradient norm": norm, "learning rate": rate})
        self.report(f"step {progress.step} minute {progress.seconds / 60:.2f} loss {loss:.4f} rate {rate:.2e}")

    def _periodic_jobs(self, log: Log) -> None:
        if self.progress.due("validate", self.settings.validate_every):
            self._validate(log)
        if self.progress.due("picture", self.settings.picture_every):
            self._picture(log)
        if self.progress.due("checkpoint", self.settings.checkpoint_every):
            self._save()

    def _save(self) -> None:
        path = self.folder / "checkpoint.pt"
        save_checkpoint(path, self.network, self.ema, self.optimizers, vars(self.progress))

    def _picture(self, log: Log) -> None:
        path = self.folder / "pictures" / f"{self.progress.step:07d}.png"
        picture(self.task, self.network, self.ema, path, log, self.progress.step)

    def _validate(self, log: Log) -> None:
        """Write the averaged weights if they are the best so far."""
        progress = self.progress
        loss, by_level = validate(self.task, self.network, self.ema, self.settings, self.device)
        minutes = progress.seconds / 60
        self.report(f"step {progress.step} minute {minutes:.1f} held-out loss {loss:.4f} {by_level}")
        log.scalars(progress.step, {"held-out/loss": loss, **{f"held-out/level {k}": v for k, v in by_level.items()}})
        if loss < progress.best:
            progress.best = loss
            about = {
                "recipe": self.task.name,
                "steps": progress.step,
                "examples": progress.examples,
                "minutes": round(minutes, 1),
                "device": self.device.type,
                "seed": self.settings.seed,
                "held_out_loss": round(loss, 5),
            }
            save_weights(self.best, self.ema.state, {**self.task.network_info, "training": about}, storage="float32")


def _silent(_: str) -> None:
    """Tells nobody."""


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
