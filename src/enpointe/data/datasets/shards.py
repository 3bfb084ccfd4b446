"""A set of shards as a data set: its records, read a shard at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Stream, check_identity, check_share
from enpointe.data.example import Example
from enpointe.data.shards.reader import ShardReader
from enpointe.data.shards.records import Record
from enpointe.data.splits import is_held_out


@dataclass(frozen=True)
class ShardDataset:
    """The records of a set of shards, see `shards.reader` for their order.

    The weights of buckets, where there are any, count, but not for records that are held out.

    Attributes:
        place: a folder, or an fsspec URL.
        held_out: only the records whose keys `splits.is_held_out`, or only the others; None for all.
        rank, ranks: which share.

    Raises:
        InputError: there is no such set, or its index is damaged.
    """

    place: str
    held_out: bool | None = None
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        self.reader(seed=0)

    @property
    def size(self) -> int | None:
        reader = self.reader(seed=0)
        return len(reader) if self.held_out is None and not reader.weighted else None

    def split(self, held_out: bool) -> Self:
        return replace(self, held_out=held_out)

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return replace(self, rank=rank, ranks=ranks)

    def stream(self, seed: int = 0) -> ShardStream:
        return ShardStream(self, seed)

    def reader(self, seed: int) -> ShardReader:
        """What reads this share, records of the other split among it."""
        return ShardReader(self.place, seed=seed, part=self.rank, parts=self.ranks, weighted=self.held_out is not True)

    def has(self, key: str) -> bool:
        """Whether a record belongs to this split."""
        return self.held_out is None or is_held_out(key) == self.held_out


class ShardStream(Stream):
    """See `ShardDataset.stream`."""

    def __init__(self, dataset: ShardDataset, seed: int) -> None:
        self._dataset, self._reader = dataset, dataset.reader(seed)
        self._examples = self._endless()

    def __next__(self) -> Example:
        return next(self._examples)

    def state_dict(self) -> dict[str, Any]:
        return {"held_out": self._dataset.held_out, **self._reader.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_identity(state, {"held_out": self._dataset.held_out})
        self._reader.load_state_dict(state)
        self._examples = self._endless()

    def _endless(self) -> Iterator[Example]:
        from_start = self._reader.state_dict()["done"] == 0
        while True:
            found = False
            for record in self._reader:
                if self._dataset.has(record.key):
                    found = True
                    yield to_example(record)
            if from_start and not found:
                raise InputError(f"{self._dataset.place}: expected records in this part of the shards, found none")
            from_start = True


def to_example(record: Record) -> Example:
    """A record's cloud, captions and views."""
    cloud = record.cloud()
    return Example(
        record.key,
        np.asarray(cloud.points, np.float32),
        np.asarray(cloud.colors, np.float32),
        record.captions,
        views=record.views,
    )
