"""Data-parallel training on one machine's CPU: processes with a share of the cores and of each batch.

Several processes of few threads use the cores better than one process of many: its threads wait for each other in
every small operation.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import start_processes

from enpointe.core.errors import EnpointeError, InputError

EXIT_SECONDS = 60.0
"""How long the other processes have to end."""
START_TIMEOUT = timedelta(minutes=5)
STEP_TIMEOUT = timedelta(hours=6)
"""How long the other processes wait for the leader, which may be drawing images."""


@dataclass(frozen=True)
class Group:
    """One of `size` processes that take the same steps; `Group()` is a process on its own.

    Rank 0 leads: its clock is that of all, and it alone validates, saves, draws and reports.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def agree(self, seconds: float, *flags: bool) -> tuple[float, list[bool]]:
        """The leader's seconds, and of each flag whether any process has it; all must call this at the same point."""
        if self.size == 1:
            return seconds, list(flags)
        shared = torch.tensor([seconds if self.leads else 0.0, *map(float, flags)], dtype=torch.float64)
        dist.all_reduce(shared)
        return float(shared[0]), [bool(flag > 0) for flag in shared[1:]]

    def gather(self, value: Any) -> list[Any]:
        """Everyone's values, to the leader; nothing to the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.gather_object(value, values if self.leads else None)
        return values if self.leads else []

    def average(self, network: nn.Module, part: float) -> None:
        """Gradients become their mean over the whole batch, of which this process had such a part (0 to 1)."""
        if self.size == 1:
            return
        grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([grad.reshape(-1) for grad in grads]).mul_(part)
        dist.all_reduce(flat)
        for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))


@contextlib.contextmanager
def processes(n: int, work: Callable[[Group], object]) -> Iterator[Group]:
    """The group of `n` of which this process is the leader, while n - 1 new ones run `work` with their own.

    Each has its share of the cores, and as many threads.

    Args:
        work: picklable, as the new processes are started afresh. They end when it returns, and with this block.

    Raises:
        InputError: n is not from 1 to the number of cores.
        EnpointeError: one of the others ended too early, or did not start.
    """
    cores = cores_for(n)
    if n == 1:
        yield Group()
        return
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = Path(folder) / "rendezvous"
        context = start_processes(_follow, (n, cores, rendezvous, work), nprocs=n - 1, join=False, start_method="spawn")
        assert context is not None
        try:
            with _joined(0, n, cores, rendezvous) as group:
                yield group
        except RuntimeError as error:  # what a collective raises when a connection closes
            codes = _ended(context.processes)
            if any(codes):
                raise EnpointeError(f"processes: expected {n} to the end, found exit codes {codes}") from error
            raise
        finally:  # they end by themselves: done, or with the leader's connection
            _ended(context.processes)
            for process in context.processes:
                process.kill()
                process.join()
            torch.set_num_threads(threads)
            _use(cores)


def _ended(others: Sequence[BaseProcess]) -> list[int | None]:
    for process in others:
        process.join(EXIT_SECONDS)
    return [process.exitcode for process in others]


def _follow(index: int, n: int, cores: list[int], rendezvous: Path, work: Callable[[Group], object]) -> None:
    with _joined(index + 1, n, cores, rendezvous) as group:
        work(group)


@contextlib.contextmanager
def _joined(rank: int, n: int, cores: list[int], rendezvous: Path) -> Iterator[Group]:
    each = len(cores) // n
    _use(cores[rank * each : (rank + 1) * each])
    torch.set_num_threads(each)
    if sys.platform == "linux":  # no other machine takes part
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(str(rendezvous), n)  # type: ignore[attr-defined]
    store.set_timeout(START_TIMEOUT)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=n, timeout=STEP_TIMEOUT)
    try:
        yield Group(rank, n)
    finally:
        dist.destroy_process_group()


def cores_for(n: int) -> list[int]:
    """The cores that this process may use; InputError if they are fewer than the n processes."""
    count = os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(count))
    if not 1 <= n <= len(cores):
        raise InputError(f"processes: expected 1 to {len(cores)}, the cores that are free to use, found {n}")
    return cores


def _use(cores: list[int]) -> None:
    """Stay on these cores, where the system can bind a process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
