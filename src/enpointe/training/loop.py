"""One training loop for every recipe: budgeted in minutes or steps, killed and resumed at will.

Every random draw is a function of (seed, step), and a checkpoint holds all that changes; a run that
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from enpointe.errors import InputError, OutputError
from enpointe.models.weights import save_weights
from enpointe.training.checkpoint import read_checkpoint, save_checkpoint
from enpointe.training.ema import EMA
from enpointe.training.log import Log
from enpointe.training.optimizers import build_optimizers
from enpointe.training.task import Losses, Task


@dataclass(frozen=True)
class Phase:
    """Until this part of the budget (1 is the end), train on `n_points` points, `batch` examples a step."""

    until: float
    n_points: int
    batch: int


@dataclass(frozen=True)
class Settings:
    """How a task is trained.

    Attributes:
        phases: the curriculum, in order; the last one's `until` is 1.
        learning_rate: the peak; warmed up over `warmup` steps, then a cosine down to a hundredth.
        optimizer, muon_scale: see `build_optimizers`.
        weight_decay, clip, ema: of AdamW, the gradient's norm, the moving average.
        seed: of weights, data and noise.
        validate_every, checkpoint_every, picture_every: minutes of training between.
    """

    phases: tuple[Phase, ...]
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    muon_scale: float = 1.0
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    validate_every: float = 5.0
    checkpoint_every: float = 2.0
    picture_every: float = 15.0

    def phase(self, progress: float) -> Phase:
        """The phase at a part of the budget."""
        return next((phase for phase in self.phases if progress < phase.until), self.phases[-1])

    def rate(self, step: int, progress: float) -> float:
        """The learning rate at a step and a part of the budget."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * (0.01 + 0.99 * cosine)


@dataclass
class Progress:
    """What a checkpoint counts."""

    step: int = 0
    seconds: float = 0.0
    examples: int = 0
    best: float = math.inf
    done: dict[str, float] = field(default_factory=dict)
    """Training minute at which each periodic job was last done."""


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
) -> Path:
    """Train until the budget is spent or a signal comes, and leave the best weights.

    Args:
        run: the run's folder: `best.safetensors` (the average with the lowest held-out loss),
            `checkpoint.pt`, `log/` (tensorboard), `pictures/`.
        minutes, steps: the whole budget, earlier parts of a resumed run counted in; at least one.

    Returns:
        Path of the best weights.

    Raises:
        InputError: no budget, or none above 0; or a run that exists and is not resumed, or the other way round.
        OutputError: the folder cannot be written.
        WeightsError: the checkpoint to resume from is damaged, or of another network.
    """
    budgets = [budget for budget in (minutes, steps) if budget is not None]
    if not budgets or min(budgets) <= 0:
        raise InputError(f"training: expected a budget of minutes or steps above 0, found {budgets or 'neither'}")
    checkpoint, best = run / "checkpoint.pt", run / "best.safetensors"
    if checkpoint.exists() != resume:
        raise InputError(
            f"{run}: expected {'a run to resume' if resume else 'a new folder, or --resume'}, "
            f"found {'none' if resume else 'a run'}"
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run}: expected a folder to write a run into, found {error}") from error
    network = task.network.to(device)
    ema = EMA(network, settings.ema)
    optimizers = build_optimizers(
        network, settings.optimizer, settings.learning_rate, settings.weight_decay, settings.muon_scale
    )
    progress = Progress()
    if resume:
        progress = Progress(**read_checkpoint(checkpoint, network, ema, optimizers, device))
        if not best.exists():  # then no loss has been reached that a new best must beat
            progress.best = math.inf
        report(f"resumed at step {progress.step}, {progress.seconds / 60:.1f} minutes")
    compiled: nn.Module = torch.compile(network, dynamic=False) if compile_network else network  # type: ignore[assignment]
    log = Log(run / "log")

    def spent() -> float:
        used = (progress.seconds / 60, progress.step)
        return max(part / whole for part, whole in zip(used, (minutes, steps), strict=True) if whole is not None)

    def due(job: str, every: float) -> bool:
        now = progress.seconds / 60
        if now - progress.done.get(job, 0.0) < every:
            return False
        progress.done[job] = now
        return True

    def save() -> None:
        save_checkpoint(checkpoint, network, ema, optimizers, vars(progress))

    def validate() -> None:
        loss, by_level = _validate(task, network, ema, settings, device)
        report(f"step {progress.step} minute {progress.seconds / 60:.1f} held-out loss {loss:.4f} {by_level}")
        log.scalars(progress.step, {"held-out/loss": loss, **{f"held-out/level {k}": v for k, v in by_level.items()}})
        if loss < progress.best:
            progress.best = loss
            info = {
                **task.network_info,
                "training": {
                    "recipe": task.name,
                    "steps": progress.step,
                    "examples": progress.examples,
                    "minutes": round(progress.seconds / 60, 1),
                    "device": device.type,
                    "seed": settings.seed,
                    "held_out_loss": round(loss, 5),
                },
            }
            save_weights(best, ema.state, info, storage="float32")

    with _signals() as stop, _autocast(device) as half:
        started = time.monotonic()
        while spent() < 1 and not stop.is_set():
            phase = settings.phase(spent())
            rate = settings.rate(progress.step, spent())
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["scale"]
            batch = _batch(task, settings, progress.step, phase, device, training=True)
            with half():
                losses = task.losses(compiled, batch)
            loss = losses.value.mean()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            if torch.isfinite(norm):  # a step that overflowed is left out
                for optimizer in optimizers:
                    optimizer.step()
                ema.update(network)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            progress.step += 1
            progress.examples += phase.batch
            now = time.monotonic()
            progress.seconds += now - started
            started = now
            if progress.step % 20 == 0:
                value = float(loss.detach())
                log.scalars(progress.step, {"loss": value, "gradient norm": float(norm), "learning rate": rate})
                report(f"step {progress.step} minute {progress.seconds / 60:.2f} loss {value:.4f} rate {rate:.2e}")
            # What follows is not training: it is not counted into the minutes.
            if due("validate", settings.validate_every):
                validate()
            if due("picture", settings.picture_every):
                _picture(task, network, ema, run / "pictures" / f"{progress.step:07d}.png", log, progress.step)
            if due("checkpoint", settings.checkpoint_every):
                save()
            started = time.monotonic()
        validate()
        save()
        _picture(task, network, ema, run / "pictures" / f"{progress.step:07d}.png", log, progress.step)
    log.close()
    (run / "progress.json").write_text(json.dumps(vars(progress), indent=1))
    return best


def _batch(
    task: Task, settings: Settings, step: int, phase: Phase, device: torch.device, *, training: bool
) -> dict[str, Tensor]:
    """The examples of a step, and their noise, on the device: a function of (seed, step) alone."""
    rng = np.random.default_rng((settings.seed, step, int(training)))
    batch = task.batch(rng, phase.batch, phase.n_points, training=training)
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    with torch.no_grad():
        return dict(task.prepare(moved))


@torch.no_grad()
def _validate(
    task: Task, network: nn.Module, ema: EMA, settings: Settings, device: torch.device, batches: int = 4
) -> tuple[float, dict[str, float]]:
    """Held-out loss of the averaged weights, on always the same batches, and by quarter of the level."""
    phase = settings.phases[0]
    with _averaged(network, ema), _autocast(device) as half:
        parts: list[Losses] = []
        for i in range(batches):
            with half():
                parts.append(task.losses(network, _batch(task, settings, i, phase, device, training=False)))
    value, level = torch.cat([p.value for p in parts]), torch.cat([p.level for p in parts])
    quarter = (level * 4).long().clamp(0, 3)
    by_level = {f"{q / 4:.2f}": round(float(value[quarter == q].mean()), 4) for q in range(4) if (quarter == q).any()}
    return float(value.mean()), by_level


def _picture(task: Task, network: nn.Module, ema: EMA, path: Path, log: Log, step: int) -> None:
    with _averaged(network, ema), torch.no_grad():
        image = task.picture(network)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)
    log.image(step, "samples", image)


@contextlib.contextmanager
def _averaged(network: nn.Module, ema: EMA) -> Iterator[None]:
    """The network with the averaged weights in it, in evaluation mode, for a while."""
    raw = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.load_state_dict(ema.state)
    network.eval()
    try:
        yield
    finally:
        network.load_state_dict(raw)
        network.train()


@contextlib.contextmanager
def _autocast(device: torch.device) -> Iterator[Callable[[], Any]]:
    """bfloat16 products; the weights stay float32."""
    yield lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type in ("cpu", "cuda"))


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
