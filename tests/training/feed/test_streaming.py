"""The feed that draws on the CPU: who draws, and how far ahead, changes nothing in what a step sees."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from enpointe.core.errors import EnpointeError, InputError
from enpointe.data.datasets import Dataset, Mixture
from enpointe.data.example import Example
from enpointe.training.feed.streaming import StreamingFeed, n_streams
from enpointe.training.settings import Phase
from enpointe.training.task import Collated
from training.line import LineTask, Numbers

SMALL, LARGE = Phase(0.5, 3, 1.0), Phase(1.0, 5, 2.0)
PHASES = [SMALL] * 6 + [LARGE] * 8 + [SMALL] * 6


def numbered(examples: list[Example], settings: float, rng: np.random.Generator, *, training: bool) -> Collated:
    """Which examples they are, the settings, and a draw."""
    rows = [[float(one.key), settings, rng.random()] for one in examples]
    return Collated({"x": torch.tensor(rows, dtype=torch.float64)})


def killed(examples: list[Example], settings: float, rng: np.random.Generator, *, training: bool) -> Collated:
    if settings == LARGE.examples:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbered(examples, settings, rng, training=training)


@contextmanager
def opened(collate: Any = numbered, workers: int = 0, **options: Any) -> Iterator[StreamingFeed[Any]]:
    task: Any = LineTask()
    task.collate = collate
    feed = StreamingFeed(task, seed=3, device=torch.device("cpu"), dtype=torch.float32, workers=workers, **options)
    try:
        yield feed
    finally:
        feed.close()


def drawn(feed: StreamingFeed[Any], start: int = 0, end: int = len(PHASES)) -> list[Any]:
    return [feed.batch(step, PHASES[step])["x"].tolist() for step in range(start, end)]


def test_a_step_takes_its_examples_from_one_of_the_streams_in_turn() -> None:
    with opened() as feed:
        found = drawn(feed)
        assert [len(rows) for rows in found] == [phase.batch for phase in PHASES]
        streams = len(feed.state_dict()["streams"])
        assert streams == 4  # 64 examples, 16 of each
        # Sixteen examples of each stream, before they come again in another order.
        of_stream = [
            [row[0] for step in range(first, len(PHASES), streams) for row in found[step]] for first in range(streams)
        ]
        assert sorted(key for keys in of_stream for key in keys[:16]) == list(range(64))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_draw_what_the_process_itself_would(workers: int) -> None:
    with opened() as alone, opened(workers=workers) as ahead:
        assert drawn(ahead) == drawn(alone)
        assert ahead.state_dict() == alone.state_dict()


@pytest.mark.slow
def test_a_feed_is_resumed_at_any_step_by_any_number_of_workers() -> None:
    with opened() as alone:
        whole = drawn(alone)
    for stop, workers in ((0, 0), (5, 2), (7, 0), (13, 0)):
        with opened(workers=1 if stop == 5 else 0) as stopped:
            assert drawn(stopped, 0, stop) == whole[:stop]
            state = stopped.state_dict()
        with opened(workers=workers) as resumed:
            resumed.load_state_dict(state)
            assert drawn(resumed, stop) == whole[stop:]


def test_ranks_share_a_batch_and_the_data() -> None:
    with opened(rank=0, ranks=2) as one, opened(rank=1, ranks=2) as two:
        first, second = drawn(one, 0, 4), drawn(two, 0, 4)
    assert [len(rows) for rows in first] == [2] * 4
    assert [len(rows) for rows in second] == [1] * 4
    keys = [{row[0] for rows in found for row in rows} for found in (first, second)]
    assert not keys[0] & keys[1]
    draws = [{row[2] for rows in found for row in rows} for found in (first, second)]
    assert not draws[0] & draws[1]


def test_the_state_of_another_feed_is_refused() -> None:
    with opened() as one, opened(rank=1, ranks=2) as other:
        with pytest.raises(InputError, match="expected the states of 2 streams, found others"):
            other.load_state_dict(one.state_dict())
        with pytest.raises(InputError, match="found others"):
            one.load_state_dict({})
        moved = {"streams": [{**state, "rank": 7} for state in one.state_dict()["streams"]]}
        with pytest.raises(InputError, match="expected the state of a stream"):
            one.load_state_dict(moved)


@pytest.mark.slow
def test_a_worker_that_dies_ends_the_run_with_an_error() -> None:
    with opened(killed, workers=2) as feed:
        drawn(feed, 0, 6)
        with pytest.raises(EnpointeError, match="expected the processes that draw examples to last"):
            drawn(feed, 6)


@dataclass(frozen=True)
class Sized(Numbers):
    size: int | None = 64


@pytest.mark.parametrize(
    ("sizes", "ranks", "expected"),
    [
        ((1000,), 1, 8), ((64,), 1, 4), ((64,), 2, 2), ((64,), 9, 1), ((3,), 1, 1), ((None,), 1, 8),
        ((1000, 40), 1, 2), ((None, 40), 1, 2), ((1000, None), 2, 8),
    ],
)  # fmt: skip
def test_how_many_streams_there_are(sizes: tuple[int | None, ...], ranks: int, expected: int) -> None:
    parts: tuple[tuple[Dataset, float], ...] = tuple((Sized(size=size), 1.0) for size in sizes)
    assert n_streams(Mixture(parts), ranks) == expected
    assert n_streams(Mixture(((Mixture(parts), 1.0),)), ranks) == expected
