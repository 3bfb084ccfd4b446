"""torch.compile where it works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from enpointe.training.precision import autocast
from enpointe.training.task import Batch, Losses, Task


class Objective:
    """A task's losses on the device, and their gradients, through the compiled network as long as that works.

    A compiler may be missing, or fail on a shape that a later phase brings: training then continues without,
    after one line of notice.

    Args:
        microbatch: examples that go through the network at a time, see `Settings`.
    """

    def __init__(
        self,
        task: Task[Any],
        network: nn.Module,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        microbatch: int | None = None,
        compiled: bool,
        report: Callable[[str], None],
    ) -> None:
        self._task, self._network, self._report = task, network, report
        self._device, self._dtype, self._microbatch = device, dtype, microbatch
        self._compiled: nn.Module | None = None
        if compiled:
            self._compiled = torch.compile(network, dynamic=False)  # type: ignore[assignment]

    def __call__(self, batch: Batch) -> Losses:
        """The examples' losses, without their metrics; the gradients of their mean are added to the network's."""
        if self._compiled is not None:
            try:
                return self._learn(self._compiled, batch)
            except RuntimeError as error:  # the base of what the compiler raises; any other is raised again below
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                self._report(f"torch.compile does not work here, training continues without it: {reason}")
                self._compiled = None
                self._network.zero_grad(set_to_none=True)
        return self._learn(self._network, batch)

    def _learn(self, network: nn.Module, batch: Batch) -> Losses:
        n = len(next(iter(batch.values())))
        size, parts = min(self._microbatch or n, n), list[Losses]()
        for start in range(0, n, size):
            part = {name: value[start : start + size] for name, value in batch.items()} if size < n else batch
            with autocast(self._device, self._dtype):
                losses = self._task.losses(network, part)
            (losses.value.mean() * (min(size, n - start) / n)).backward()
            parts.append(losses)
        levels = [part.noise_level for part in parts if part.noise_level is not None]
        return Losses(torch.cat([part.value.detach() for part in parts]), torch.cat(levels) if levels else None)
