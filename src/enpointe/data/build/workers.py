"""Worker processes that are watched: one that crashes, stalls or eats too much costs its job and no other."""

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
_TICK, _FAREWELL_SECONDS = 0.25, 10.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
"""What numerical libraries, and Mesa's software renderer, read when they are loaded."""


@dataclass(frozen=True)
class Limits:
    """What one job may take: seconds, and bytes of memory of its process; and how often a worker's death is forgiven.

    A worker may also die for what is not its job's fault, hence the second try.
    """

    seconds: float = 300.0
    memory: int = 4 << 30
    deaths: int = 1


@dataclass(frozen=True)
class Lost:
    """Why a job has no result."""

    reason: str


def watched(
    jobs: Iterable[Job], open_worker: Open[Job, Result], *, workers: int, limits: Limits, method: str = "spawn"
) -> Iterator[tuple[Job, Result | Lost]]:
    """Do jobs in processes; each with its result, in the order in which they end.

    Args:
        open_worker: makes, in a worker's process, what does jobs there; sent to it, as jobs and results are.
        method: how processes start, as multiprocessing calls it.

    Raises:
        EnpointeError: `open_worker` raised it. Other errors there, and all those of a job, are a worker's death.
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
                ended = worker.look()
                if ended is None:
                    continue
                if isinstance(ended, Lost):
                    worker.kill()
                    team.remove(worker)
                    if ended is DIED and worker.deaths < limits.deaths:
                        again.append((worker.job, worker.deaths + 1))
                        continue
                    yield worker.job, Lost(worker.death()) if ended is DIED else ended
                    continue
                done = worker.job
                if (job := _next(again, waiting)) is not None:
                    worker.give(*job)
                else:
                    worker.retire()
                    team.remove(worker)
                yield done, ended.value
    finally:
        for worker in team:
            worker.kill()


class Watched(Generic[Job, Result]):
    """A worker process for jobs that come one at a time; where one ends it, the next gets a new process.

    nothing: a job that costs nothing. It comes first, so that a large one is only sent to a process that reads.
    """

    def __init__(self, open_worker: Open[Job, Result], limits: Limits, nothing: Job, method: str = "spawn") -> None:
        self._context = multiprocessing.get_context(method)
        self._open, self._limits, self._nothing = open_worker, limits, nothing
        self._worker: _Worker[Job, Result] | None = None

    def do(self, job: Job) -> Result | Lost:
        """The job's result, or why it has none. Raises what `watched` does."""
        deaths = 0
        while True:
            worker, ended = self._worker, None
            if worker is None:
                worker = self._worker = _Worker(self._context, self._open, self._limits, self._nothing, 0)
                ended = _ended(worker)
            if not isinstance(ended, Lost):
                worker.give(job, deaths)
                ended = _ended(worker)
            if not isinstance(ended, Lost):
                return ended.value
            worker.kill()
            self._worker = None
            if ended is not DIED:
                return ended
            if deaths >= self._limits.deaths:
                return Lost(worker.death())
            deaths += 1


def _ended(worker: _Worker[Job, Result]) -> _Done[Result] | Lost:
    while (ended := worker.look()) is None:
        connection.wait([worker.pipe], timeout=_TICK)
    return ended


def _next(again: list[tuple[Job, int]], waiting: Iterator[Job]) -> tuple[Job, int] | None:
    """New jobs first: one that killed its worker waits until the others are safe."""
    for job in waiting:
        return job, 0
    return again.pop() if again else None


DIED = Lost("died")
_GOODBYE = None
"""In place of a job. An end of the pipe that closes says it too, but forked processes hold copies of that."""


@dataclass(frozen=True)
class _Done(Generic[Result]):
    value: Result


class _Worker(Generic[Job, Result]):
    """A process and the job that it is at."""

    def __init__(
        self, context: BaseContext, open_worker: Open[Job, Result], limits: Limits, job: Job, deaths: int
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
        self.give(job, deaths)

    def give(self, job: Job, deaths: int) -> None:
        self.job, self.deaths = job, deaths
        self.since = time.monotonic()
        # A worker that is gone is noticed at the next look.
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def look(self) -> _Done[Result] | Lost | None:
        """What has become of the job; None while it lasts."""
        try:
            while self.pipe.poll():
                kind, value = self.pipe.recv()
                if kind == "unfit":
                    raise value
                if kind == "done":
                    return _Done(value)
                self.ready, self.since = True, time.monotonic()
        except (EOFError, OSError) as error:
            if isinstance(error, EnpointeError):
                raise
            return DIED
        if not self.ready:
            if time.monotonic() - self.since > OPENING_SECONDS:
                raise InputError(f"expected a renderer that opens within {OPENING_SECONDS:.0f} seconds")
            return None
        if time.monotonic() - self.since > self.limits.seconds:
            return Lost(f"took longer than {self.limits.seconds:g} seconds")
        return None

    def death(self) -> str:
        """Of what it died."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"

    def retire(self) -> None:
        """Let it clean up and end; it has no job left."""
        with contextlib.suppress(OSError):
            self.pipe.send(_GOODBYE)
        self.pipe.close()
        self.process.join(_FAREWELL_SECONDS)
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
    """Processes that start meanwhile use one thread each: with as many workers as cores, more would hinder."""
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
    """A worker's life."""
    parents.close()  # else this process would keep the pipe's other end open itself
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own: killed together with what it starts, and spared by Ctrl-C
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _bound_memory(memory)
    try:
        with open_worker() as work:
            pipe.send(("ready", None))
            while True:
                try:
                    job = pipe.recv()
                except EOFError:
                    return
                if job is _GOODBYE:
                    return
                pipe.send(("done", work(job)))
    except EnpointeError as error:
        pipe.send(("unfit", error))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _bound_memory(limit: int) -> None:
    """Allocations beyond the limit fail, where the system can be told so."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):  # a stricter limit is in force already
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
