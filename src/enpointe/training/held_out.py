"""What a run is judged by: the loss on held-out examples, and pictures, both of the averaged weights."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from enpointe.training.batches import draw, half_precision, prepared
from enpointe.training.ema import EMA
from enpointe.training.log import Log
from enpointe.training.settings import Settings
from enpointe.training.task import Losses, Task

BATCHES = 4
"""So many of the first phase's; always the same ones."""


def fingerprint(task: Task, settings: Settings) -> str:
    """Of the held-out examples: losses can be compared only where it is the same."""
    digest = hashlib.sha256()
    for i in range(BATCHES):
        for name, value in sorted(draw(task, settings, i, settings.phases[0], training=False).items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def validate(
    task: Task, network: nn.Module, ema: EMA, settings: Settings, device: torch.device
) -> tuple[float, dict[str, float]]:
    """The held-out loss, and by quarter of the level."""
    with averaged(network, ema):
        parts: list[Losses] = []
        for i in range(BATCHES):
            with half_precision(device):
                batch = prepared(task, draw(task, settings, i, settings.phases[0], training=False), device)
                parts.append(task.losses(network, batch))
    value, level = torch.cat([p.value for p in parts]), torch.cat([p.level for p in parts])
    quarter = (level * 4).long().clamp(0, 3)
    by_level = {f"{q / 4:.2f}": round(float(value[quarter == q].mean()), 4) for q in range(4) if (quarter == q).any()}
    return float(value.mean()), by_level


def picture(task: Task, network: nn.Module, ema: EMA, path: Path, log: Log, step: int) -> None:
    """What the network makes now, as a PNG and in the log."""
    with averaged(network, ema), torch.no_grad():
        image = task.picture(network)
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
