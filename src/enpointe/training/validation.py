"""What a run is judged by: the loss on held-out examples, and images, both of the averaged weights."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from enpointe.training.batches import autocast, draw, prepared
from enpointe.training.ema import EMA
from enpointe.training.log import Log
from enpointe.training.settings import Settings
from enpointe.training.task import Batch, Losses, Task

E = TypeVar("E")

BATCHES = 4
"""How many batches of the first phase are held out; always the same ones."""


def held_out(task: Task[E], settings: Settings[E]) -> Iterator[Batch]:
    """The batches that a run is validated on."""
    return (draw(task, settings.phases[0], i, seed=settings.seed, training=False) for i in range(BATCHES))


def fingerprint(task: Task[E], settings: Settings[E]) -> str:
    """Of the held-out examples: losses can be compared only where it is the same."""
    digest = hashlib.sha256()
    for batch in held_out(task, settings):
        for name, value in sorted(batch.items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def validate(
    task: Task[E], network: nn.Module, ema: EMA, settings: Settings[E], device: torch.device
) -> tuple[float, dict[str, float]]:
    """The held-out loss, and what there is beside it: the loss by quarter of the noise level, the task's metrics."""
    parts: list[Losses] = []
    with averaged(network, ema):
        for batch in held_out(task, settings):
            with autocast(device):
                parts.append(task.losses(network, prepared(task, batch, device)))
    value = torch.cat([part.value for part in parts])
    details = {name: torch.cat([part.metrics[name] for part in parts]).mean() for name in parts[0].metrics}
    levels = [part.noise_level for part in parts if part.noise_level is not None]
    if levels:
        details |= _by_quarter(value, torch.cat(levels))
    return float(value.mean()), {name: round(float(mean), 4) for name, mean in details.items()}


def _by_quarter(value: Tensor, noise_level: Tensor) -> dict[str, Tensor]:
    quarter = (noise_level * 4).long().clamp(0, 3)
    return {f"noise {q / 4:.2f}": value[quarter == q].mean() for q in range(4) if (quarter == q).any()}


def save_image(task: Task[Any], network: nn.Module, ema: EMA, path: Path, log: Log, step: int) -> None:
    """What the network makes now, as a PNG and in the log."""
    with averaged(network, ema), torch.no_grad():
        image = task.image(network)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)
    log.image(step, "samples", image)


@contextlib.contextmanager
def averaged(network: nn.Module, ema: EMA) -> Iterator[None]:
    """The network with the averaged weights in it, in evaluation mode, for a while."""
    raw = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.load_state_dict(ema.state)
    network.eval()
    try:
        yield
    finally:
        network.load_state_dict(raw)
        network.train()
