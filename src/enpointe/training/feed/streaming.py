"""Examples drawn on the CPU as the training goes: in its process, or ahead in processes of their own.

A data set is read as a fixed number of streams, each with its share, and step k takes its examples from stream
k modulo that number. Who reads a stream, and how far ahead, changes nothing in what a step sees.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from enpointe.core.errors import EnpointeError, InputError
from enpointe.data.datasets import Dataset, Stream, parts_of
from enpointe.data.example import Example
from enpointe.training.feed.text import TextFeatures
from enpointe.training.seeds import numpy_rng, share
from enpointe.training.settings import Phase
from enpointe.training.task import Batch, Collated, Task

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)

STREAMS = 8
"""Of each process that trains."""
SMALLEST_SHARE = 16
"""Examples of a stream in an epoch, held-out ones counted in; a data set of fewer has fewer streams."""

State = dict[str, Any]


class Collate(Protocol[E_contra]):
    """See `Task.collate`."""

    def __call__(
        self, examples: list[Example], settings: E_contra, rng: np.random.Generator, *, training: bool
    ) -> Collated: ...


class Drawer(Generic[E]):
    """Draws the batches of the streams, on the CPU.

    Args:
        data: what the streams of all processes share.
        collate: of the task.
        first, of: the process's first stream, and how many all processes have.
    """

    def __init__(self, data: Dataset, collate: Collate[E], seed: int, rank: int, first: int, of: int) -> None:
        self._data, self._collate, self._seed, self._rank = data, collate, seed, rank
        self._first, self._of = first, of
        self._streams: dict[int, Stream] = {}

    def stream(self, number: int) -> Stream:
        """A stream of this process, where the last draw left it."""
        if number not in self._streams:
            self._streams[number] = self._data.share(self._first + number, self._of).stream(self._seed)
        return self._streams[number]

    def draw(self, number: int, state: State, step: int, n: int, settings: E) -> tuple[Collated, State]:
        """`n` examples of a stream from a state on, for a step; and the stream's state afterwards."""
        stream = self.stream(number)
        if stream.state_dict() != state:
            stream.load_state_dict(state)
        examples = list(islice(stream, n))
        rng = numpy_rng(self._seed, step, self._rank)
        return self._collate(examples, settings, rng, training=True), stream.state_dict()


class StreamingFeed(Generic[E]):
    """See this module.

    Args:
        task: what learns.
        seed: of the order, and of what is random in examples.
        rank, ranks: which of the processes that train together this one is.
        device: of training.
        dtype: to encode text in.
        workers: processes that draw ahead; 0: this one draws when it is asked.

    Raises:
        InputError: there is nothing in the data to learn from.
    """

    def __init__(
        self, task: Task[E], *, seed: int, device: torch.device, dtype: torch.dtype, rank: int = 0, ranks: int = 1,
        workers: int = 0,
    ) -> None:  # fmt: skip
        n = n_streams(task.data, ranks)
        arguments = (task.data.split(held_out=False), task.collate, seed, rank, rank * n, ranks * n)
        self._rank, self._ranks, self._device = rank, ranks, device
        self._drawer: Drawer[E] = Drawer(*arguments)
        self._states = [self._drawer.stream(number).state_dict() for number in range(n)]
        self._text = TextFeatures(device, task.text_tokens, dtype) if task.text_tokens else None
        context = multiprocessing.get_context("spawn")
        self._workers = [
            ProcessPoolExecutor(1, context, initializer=_begin, initargs=arguments) for _ in range(min(workers, n))
        ]
        self._ahead: dict[int, tuple[int, Phase[E], Future[tuple[Collated, State]]]] = {}

    def batch(self, step: int, phase: Phase[E]) -> Batch:
        number = step % len(self._states)
        if self._workers:
            collated, state = self._drawn_ahead(number, step, phase)
        else:
            collated, state = self._drawer.draw(*self._job(step, phase))
        self._states[number] = state
        return on_device(collated, self._device, self._text)

    def state_dict(self) -> State:
        return {"streams": [dict(state) for state in self._states]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        streams = state.get("streams")
        if not isinstance(streams, list) or len(streams) != len(self._states):
            raise InputError(f"expected the states of {len(self._states)} streams, found others")
        for number, one in enumerate(streams):
            self._drawer.stream(number).load_state_dict(one)  # checks that it is of these data
        self._states = [dict(one) for one in streams]

    def close(self) -> None:
        for worker in self._workers:
            worker.shutdown(cancel_futures=True)

    def _job(self, step: int, phase: Phase[E]) -> tuple[int, State, int, int, E]:
        number = step % len(self._states)
        return number, self._states[number], step, share(phase.batch, self._rank, self._ranks), phase.examples

    def _drawn_ahead(self, number: int, step: int, phase: Phase[E]) -> tuple[Collated, State]:
        """What was drawn ahead, unless for another phase; and the next steps begin to be drawn."""
        for coming in range(step, step + len(self._states)):
            own = coming % len(self._states)
            if own not in self._ahead or self._ahead[own][:2] != (coming, phase):
                worker = self._workers[own % len(self._workers)]
                try:
                    self._ahead[own] = (coming, phase, worker.submit(_draw, *self._job(coming, phase)))
                except BrokenProcessPool as error:
                    raise _lost() from error
        try:
            return self._ahead.pop(number)[2].result()
        except BrokenProcessPool as error:
            raise _lost() from error


def n_streams(data: Dataset, ranks: int) -> int:
    """Of each process: fewer where the smallest of the pools and shards has little for each."""
    sizes = [part.size for part in parts_of(data)]
    smallest = min((size for size in sizes if size is not None), default=STREAMS * SMALLEST_SHARE * ranks)
    return max(1, min(STREAMS, smallest // (SMALLEST_SHARE * ranks)))


def on_device(collated: Collated, device: torch.device, text: TextFeatures | None) -> Batch:
    """The arrays on the training device, with the features of the captions."""
    batch = {name: value.to(device, non_blocking=True) for name, value in collated.arrays.items()}
    return {**batch, "text": text(collated.captions)} if text is not None else batch


def _lost() -> EnpointeError:
    return EnpointeError("feed: expected the processes that draw examples to last, found one ended; the run can resume")


# --- in a worker

_DRAWER: Drawer[Any]


def _begin(*arguments: Any) -> None:
    global _DRAWER
    for number in (signal.SIGINT, signal.SIGTERM):  # a signal to the group ends the run, and that ends this
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _DRAWER = Drawer(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _draw(*job: Any) -> tuple[Collated, State]:
    return _DRAWER.draw(*job)
