"""Supervised worker processes: one that crashes, stalls or takes too much memory costs its job and no other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from enpointe.core.errors import EnpointeError, InputError

Job = TypeVar("Job")
Result = TypeVar("Result")
Open = Callable[[], AbstractContextManager[Callable[[Job], Result]]]

OPENING_SECONDS = 300.0
"""How long a worker may take to get ready; on a busy machine imports alone take a while."""
_TICK, _STOP_SECONDS = 0.25, 10.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
"""What numerical libraries, and Mesa's software renderer, read when they are loaded."""


@dataclass(frozen=True)
class Limits:
    """What one job may take.

    Attributes:
        seconds: of wall time.
        memory: bytes, of its process.
        retries: how often a job is tried again after its process crashed, which may not have been the job's fault.
    """

    seconds: float = 300.0
    memory: int = 4 << 30
    retries: int = 1


@dataclass(frozen=True)
class JobFailure:
    """Why a job has no result."""

    reason: str


def run_jobs(
    jobs: Iterable[Job], open_worker: Open[Job, Result], *, workers: int, limits: Limits, method: str = "spawn"
) -> Iterator[tuple[Job, Result | JobFailure]]:
    """Run jobs in processes: each job with its result, in the order in which they end.

    Args:
        open_worker: opens, in a worker's process, the function that runs jobs there; pickled, as jobs and results are.
        method: how processes start, as multiprocessing calls it.

    Raises:
        EnpointeError: `open_worker` raised it. Other errors there, and all those of a job, are crashes.
    """
    context = multiprocessing.get_context(method)
    waiting = iter(jobs)
    again: list[tuple[Job, int]] = []
    team: list[_Worker[Job, Result]] = []
    try:
        while True:
            while len(team) < workers and (job := _next(again, waiting)) is not None:
                team.append(_Worker(context, open_worker, limits, *job))
            if not team:
                return
            connection.wait([worker.pipe for worker in team], timeout=_TICK)
            for worker in list(team):
                ended = worker.poll()
                if ended is None:
                    continue
                if isinstance(ended, JobFailure):
                    worker.kill()
                    team.remove(worker)
                    if ended is CRASHED and worker.crashes < limits.retries:
                        again.append((worker.job, worker.crashes + 1))
                        continue
                    yield worker.job, JobFailure(worker.exit_reason()) if ended is CRASHED else ended
                    continue
                done = worker.job
                if (job := _next(again, waiting)) is not None:
                    worker.give(*job)
                else:
                    worker.stop()
                    team.remove(worker)
                yield done, ended.value
    finally:
        for worker in team:
            worker.kill()


class JobRunner(Generic[Job, Result]):
    """One supervised process for jobs that come one at a time; after a failure the next job gets a new process.

    Args:
        open_worker: as of `run_jobs`.
        limits: of each job.
        empty_job: a job that costs nothing. It is sent first, so that a large one waits until the process reads.
        method: how processes start, as multiprocessing calls it.
    """

    def __init__(self, open_worker: Open[Job, Result], limits: Limits, empty_job: Job, method: str = "spawn") -> None:
        self._context = multiprocessing.get_context(method)
        self._open, self._limits, self._empty_job = open_worker, limits, empty_job
        self._worker: _Worker[Job, Result] | None = None

    def run(self, job: Job) -> Result | JobFailure:
        """The job's result, or why it has none. Raises what `watched` does."""
        crashes = 0
        while True:
            worker, ended = self._worker, None
            if worker is None:
                worker = self._worker = _Worker(self._context, self._open, self._limits, self._empty_job, 0)
                ended = _wait(worker)
            if not isinstance(ended, JobFailure):
                worker.give(job, crashes)
                ended = _wait(worker)
            if not isinstance(ended, JobFailure):
                return ended.value
            worker.kill()
            self._worker = None
            if ended is not CRASHED:
                return ended
            if crashes >= self._limits.retries:
                return JobFailure(worker.exit_reason())
            crashes += 1


def _wait(worker: _Worker[Job, Result]) -> _Done[Result] | JobFailure:
    while (ended := worker.poll()) is None:
        connection.wait([worker.pipe], timeout=_TICK)
    return ended


def _next(again: list[tuple[Job, int]], waiting: Iterator[Job]) -> tuple[Job, int] | None:
    """New jobs first: one that crashed its worker is retried last."""
    for job in waiting:
        return job, 0
    return again.pop() if again else None


CRASHED = JobFailure("crashed")
_STOP = None
"""In place of a job. A closed end of the pipe would do, but forked processes hold copies of it."""


@dataclass(frozen=True)
class _Done(Generic[Result]):
    value: Result


class _Worker(Generic[Job, Result]):
    """A process and the job that it runs."""

    def __init__(
        self, context: BaseContext, open_worker: Open[Job, Result], limits: Limits, job: Job, crashes: int
    ) -> None:
        self.pipe, theirs = context.Pipe()
        self.limits = limits
        with _one_thread():
            self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                target=_serve, args=(theirs, self.pipe, open_worker, limits.memory), daemon=False
            )
            self.process.start()
        theirs.close()
        self.ready = False
        self.give(job, crashes)

    def give(self, job: Job, crashes: int) -> None:
        self.job, self.crashes = job, crashes
        self.since = time.monotonic()
        # A worker that is gone is noticed at the next poll.
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def poll(self) -> _Done[Result] | JobFailure | None:
        """The job's result or failure; None while it runs."""
        try:
            while self.pipe.poll():
                kind, value = self.pipe.recv()
                if kind == "error":
                    raise value
                if kind == "done":
                    return _Done(value)
                self.ready, self.since = True, time.monotonic()
        except (EOFError, OSError) as error:
            if isinstance(error, EnpointeError):
                raise
            return CRASHED
        if not self.ready:
            if time.monotonic() - self.since > OPENING_SECONDS:
                raise InputError(f"expected a renderer that opens within {OPENING_SECONDS:.0f} seconds")
            return None
        if time.monotonic() - self.since > self.limits.seconds:
            return JobFailure(f"took longer than {self.limits.seconds:g} seconds")
        return None

    def exit_reason(self) -> str:
        """Why its process ended."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"

    def stop(self) -> None:
        """Let it clean up and exit; it has no job left."""
        with contextlib.suppress(OSError):
            self.pipe.send(_STOP)
        self.pipe.close()
        self.process.join(_STOP_SECONDS)
        if self.process.exitcode is None:
            self.kill()

    def kill(self) -> None:
        """The process and all that it started, now."""
        self.pipe.close()
        # Before it is joined: until then no other process can have its number.
        if self.process.pid is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (AttributeError, OSError):  # no groups on this system, or not yet one, or nothing left of it
                self.process.kill()
        self.process.join()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started within use one thread each: with as many workers as cores, more would only be slower."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Any, parents: Any, open_worker: Open[Any, Any], memory: int) -> None:
    """A worker process: opens its worker, then runs the jobs that come through the pipe."""
    parents.close()  # else this process would keep the pipe's other end open itself
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own: killed together with what it starts, and spared by Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _limit_memory(memory)
    try:
        with open_worker() as work:
            pipe.send(("ready", None))
            while True:
                try:
                    job = pipe.recv()
                except EOFError:
                    return
                if job is _STOP:
                    return
                pipe.send(("done", work(job)))
    except EnpointeError as error:
        pipe.send(("error", error))


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _limit_memory(limit: int) -> None:
    """Allocations beyond the limit fail, where the system supports that."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):  # a stricter limit is in force already
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
