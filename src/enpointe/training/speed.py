"""How fast a run is: examples a second, the part of the device's peak, and how long it waits for data."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from enpointe.training.settings import Phase
from enpointe.training.task import Batch, Task

PEAKS = {
    "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A10G": 70e12,
    "RTX 4090": 165e12,
}  # fmt: skip
"""FLOP/s of dense products in bfloat16, by the makers' data sheets, by a part of the device's name."""


class Speed:
    """Counts what one process does; the device's queue may run behind by what was not yet read."""

    def __init__(self, device: torch.device) -> None:
        self._peak = peak_of(device)
        self._flops: dict[float, float] = {}
        self._of_phase = 0.0
        self._clear()

    def measure(self, task: Task[Any], network: nn.Module, batch: Batch, phase: Phase[Any]) -> None:
        """Counts the products of a phase's first step; the others have as many."""
        if phase.until not in self._flops:
            self._flops[phase.until] = flops_of(task, network, batch)
        self._of_phase = self._flops[phase.until]

    def add(self, examples: int, seconds: float) -> None:
        """A step: the examples of all processes."""
        self._examples += examples
        self._seconds += seconds
        self._done += self._of_phase

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While the step has no data yet, text features included."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - began

    def read(self) -> dict[str, float]:
        """Since the last reading: "examples/s", the share of time "waiting", "TFLOP/s" of this process, and where the
        device's peak is known the "share of peak"; {} without any step."""
        if not self._seconds:
            return {}
        flops = self._done / self._seconds
        found = {
            "examples/s": self._examples / self._seconds,
            "waiting": self._waited / self._seconds,
            "TFLOP/s": flops / 1e12,
        }
        if self._peak is not None:
            found["share of peak"] = flops / self._peak
        self._clear()
        return found

    def _clear(self) -> None:
        self._examples, self._seconds, self._waited, self._done = 0, 0.0, 0.0, 0.0


def speed_words(found: dict[str, float]) -> str:
    """Of what `Speed.read` found, as a part of a line."""
    if not found:
        return ""
    words = f"{found['examples/s']:.1f} examples/s waiting {found['waiting']:.1%} {found['TFLOP/s']:.3g} TFLOP/s"
    return f"{words} ({found['share of peak']:.1%} of peak)" if "share of peak" in found else words


def flops_of(task: Task[Any], network: nn.Module, batch: Batch) -> float:
    """FLOPs of a step's products on a batch, forward and backward: three times those of the losses."""
    was_training = network.training
    network.eval()  # that no layer's running statistics change
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        task.losses(network, batch)
    network.train(was_training)
    return 3.0 * counter.get_total_flops()


def peak_of(device: torch.device, name: Callable[[torch.device], str] = torch.cuda.get_device_name) -> float | None:
    """The device's peak in bfloat16, FLOP/s, where it is known."""
    if device.type != "cuda":
        return None
    return next((peak for part, peak in PEAKS.items() if part in name(device)), None)
