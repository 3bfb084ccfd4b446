"""Data-parallel training: processes with a share of each batch, on one machine's cores or GPUs, or under torchrun.

On a CPU several processes of few threads use the cores better than one process of many: its threads wait for each other
in every small operation.
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

from enpointe.core.errors import InputError, TrainingError

EXIT_SECONDS = 60.0
"""How long the other processes have to end."""
START_TIMEOUT = timedelta(minutes=5)
STEP_TIMEOUT = timedelta(hours=6)
"""How long the other processes wait for the leader, which may be drawing images."""


class LostProcessError(TrainingError):
    """One of the processes that train together is gone."""


@dataclass(frozen=True)
class Group:
    """One of `size` processes that take the same steps; `Group()` is a process on its own.

    Rank 0 leads: its clock is that of all, and it alone validates, saves, draws and reports.

    Attributes:
        local: its rank among those on the same machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def place(self, device: torch.device) -> torch.device:
        """Where this process computes: of several GPUs its own."""
        return torch.device("cuda", self.local) if self.size > 1 and device.type == "cuda" else device

    def agree(self, seconds: float, *flags: bool) -> tuple[float, list[bool]]:
        """The leader's seconds, and of each flag whether any process has it; all must call this at the same point."""
        if self.size == 1:
            return seconds, list(flags)
        shared = torch.tensor([seconds if self.leads else 0.0, *map(float, flags)], dtype=torch.float64)
        with self._together():
            dist.all_reduce(shared)
        return float(shared[0]), [bool(flag > 0) for flag in shared[1:]]

    def gather(self, value: Any) -> list[Any]:
        """Everyone's values, to the leader; nothing to the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with self._together():
            dist.gather_object(value, values if self.leads else None)
        return values if self.leads else []

    def average(self, network: nn.Module, part: float) -> None:
        """Gradients become their mean over the whole batch, of which this process had such a part (0 to 1)."""
        if self.size == 1:
            return
        grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([grad.reshape(-1) for grad in grads]).mul_(part)
        with self._together():
            dist.all_reduce(flat)
        for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what a collective raises when a connection closes
            raise LostProcessError(
                f"processes: expected {self.size} to the end, found one lost; the run can be resumed ({error})"
            ) from error


def launched() -> bool:
    """Whether torchrun, or a launcher like it, started this process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextlib.contextmanager
def launched_group(device: torch.device) -> Iterator[Group]:
    """The group of a process that `torchrun` started, one of several or a machine's only one."""
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    with _member(Group(rank, size, local), device) as group:
        yield group


@contextlib.contextmanager
def processes(n: int, work: Callable[[Group], object], device: torch.device | None = None) -> Iterator[Group]:
    """The group of `n` of which this process is the leader, while n - 1 new ones run `work` with their own.

    On a CPU each has its share of the cores, and as many threads; of GPUs each has its own.

    Args:
        work: picklable, as the new processes are started afresh. They end when it returns, and with this block.

    Raises:
        InputError: n is not from 1 to the number of cores, or of GPUs.
        TrainingError: one of the others ended too early, or did not start.
    """
    device = device or torch.device("cpu")
    cores = check_processes(n, device)
    if n == 1:
        yield Group()
        return
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = Path(folder) / "rendezvous"
        arguments = (n, cores, rendezvous, work, device)
        context = start_processes(_follow, arguments, nprocs=n - 1, join=False, start_method="spawn")
        assert context is not None
        try:
            with _joined(0, n, cores, rendezvous, device) as group:
                yield group
        except LostProcessError as error:
            codes = _ended(context.processes)
            if any(codes):
                raise TrainingError(f"processes: expected {n} to the end, found exit codes {codes}") from error
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


def _follow(
    index: int, n: int, cores: list[int], rendezvous: Path, work: Callable[[Group], object], device: torch.device
) -> None:
    with _joined(index + 1, n, cores, rendezvous, device) as group:
        work(group)


@contextlib.contextmanager
def _joined(rank: int, n: int, cores: list[int], rendezvous: Path, device: torch.device) -> Iterator[Group]:
    if device.type == "cpu":
        each = len(cores) // n
        _use(cores[rank * each : (rank + 1) * each])
        torch.set_num_threads(each)
    if sys.platform == "linux":  # no other machine takes part
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(str(rendezvous), n)  # type: ignore[attr-defined]
    store.set_timeout(START_TIMEOUT)
    with _member(Group(rank, n, rank), device, store=store) as group:
        yield group


@contextlib.contextmanager
def _member(group: Group, device: torch.device, **options: Any) -> Iterator[Group]:
    """Messages of the CPU go through gloo, gradients of GPUs through NCCL."""
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(group.local)
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, rank=group.rank, world_size=group.size, timeout=STEP_TIMEOUT, **options)
    except RuntimeError as error:
        raise LostProcessError(f"processes: expected {group.size} to start, found fewer ({error})") from error
    try:
        yield group
    finally:
        dist.destroy_process_group()


def check_processes(n: int, device: torch.device) -> list[int]:
    """The cores that this process may use; InputError if a device has no n of what processes need: cores, or GPUs."""
    if device.type == "cuda" and not 1 <= n <= torch.cuda.device_count():
        raise InputError(f"processes: expected 1 to {torch.cuda.device_count()}, the GPUs, found {n}")
    if device.type not in ("cpu", "cuda") and n != 1:
        raise InputError(f"processes: expected 1 on {device.type}, found {n}")
    return cores_for(n)


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
