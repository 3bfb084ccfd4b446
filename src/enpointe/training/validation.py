"""What a run is judged by: the loss on held-out examples, and images, both of averaged weights."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from enpointe.core.files import writing
from enpointe.training.feed.streaming import on_device
from enpointe.training.feed.text import TextFeatures
from enpointe.training.log import Log
from enpointe.training.precision import autocast
from enpointe.training.seeds import numpy_rng, torch_generator
from enpointe.training.settings import Settings
from enpointe.training.task import Collated, Losses, Task

E = TypeVar("E")

BATCHES = 4
"""How many batches of the first phase are held out; always the same ones."""


class Validation(Generic[E]):
    """The held-out examples of a task, drawn once.

    Attributes:
        fingerprint: of these examples: losses can be compared only where it is the same.

    Raises:
        InputError: the task's data hold out nothing, or lack what the task needs.
    """

    def __init__(self, task: Task[E], settings: Settings[E], device: torch.device, dtype: torch.dtype) -> None:
        self._task, self._device, self._dtype, self._seed = task, device, dtype, settings.seed
        self._phase = phase = settings.phases[0]
        stream = task.data.split(held_out=True).stream(settings.seed)
        self._batches = [
            task.collate(
                list(islice(stream, phase.batch)),
                phase.examples,
                numpy_rng(settings.seed, number, training=False),
                training=False,
            )
            for number in range(BATCHES)
        ]
        self.fingerprint = _digest(self._batches)

    @torch.no_grad()
    def __call__(self, network: nn.Module, average: Mapping[str, Tensor]) -> tuple[float, dict[str, float]]:
        """The held-out loss; and beside it the loss by quarter of the noise level, and the task's metrics."""
        task, parts = self._task, list[Losses]()
        text = TextFeatures(self._device, task.text_tokens, self._dtype) if task.text_tokens else None
        with averaged(network, average):
            for number, collated in enumerate(self._batches):
                generator = torch_generator(self._device, self._seed, number, training=False)
                batch = on_device(collated, self._device, text)
                with autocast(self._device, self._dtype):
                    ready = task.prepare(batch, self._phase.examples, generator, training=False)
                    parts.append(task.losses(network, ready))
        value = torch.cat([part.value for part in parts])
        details = {name: torch.cat([part.metrics[name] for part in parts]).mean() for name in parts[0].metrics}
        levels = [part.noise_level for part in parts if part.noise_level is not None]
        if levels:
            details |= _by_quarter(value, torch.cat(levels))
        return float(value.mean()), {name: round(float(mean), 4) for name, mean in details.items()}


def _digest(batches: Sequence[Collated]) -> str:
    digest = hashlib.sha256()
    for batch in batches:
        for name, value in sorted(batch.arrays.items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().tobytes())
        digest.update("\n".join(batch.captions).encode())
    return digest.hexdigest()


def _by_quarter(value: Tensor, noise_level: Tensor) -> dict[str, Tensor]:
    quarter = (noise_level * 4).long().clamp(0, 3)
    return {f"noise {q / 4:.2f}": value[quarter == q].mean() for q in range(4) if (quarter == q).any()}


def save_image(
    task: Task[Any], network: nn.Module, average: Mapping[str, Tensor], path: Path, log: Log, step: int
) -> None:
    """What the network makes now, as a PNG and in the log."""
    with averaged(network, average), torch.no_grad():
        image = task.image(network)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    log.image(step, "samples", image)


@contextlib.contextmanager
def averaged(network: nn.Module, average: Mapping[str, Tensor]) -> Iterator[None]:
    """The network with the averages of what is followed in it, in evaluation mode, for a while."""
    raw = {key: value.detach().clone() for key, value in network.state_dict().items() if key in average}
    network.load_state_dict(average, strict=False)
    network.eval()
    try:
        yield
    finally:
        network.load_state_dict(raw, strict=False)
        network.train()
