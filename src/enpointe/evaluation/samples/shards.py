"""Shards made by `enpointe data build`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.shards.index import read_index, read_shard
from enpointe.data.shards.records import NORMAL_SCALE, Record
from enpointe.data.shards.store import Store
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet


class ShardSamples(SampleSet):
    """The records of a set of shards, in their order; a damaged shard is left out in whole, and noted."""

    def __init__(self, place: str, limit: int | None = None) -> None:
        super().__init__(place.rstrip("/").rsplit("/", 1)[-1], "shards", limit)
        self._store = Store(place)
        self._index = read_index(self._store)

    def _size(self) -> int:
        return self._index.records

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for shard in self._index.shards:
            try:
                records = read_shard(self._store, shard)
            except InputError as error:
                reason = str(error).removeprefix(f"{self._store.place}/{shard.name}: ")
                self.failures.append(Failure(shard.name, f"damaged, with {shard.records} records: {reason}"))
                continue
            for record in records:
                if only is None or record.key in only:
                    caption = record.captions[0] if record.captions else None
                    sample = Sample(record.key, record.cloud(), caption, normals=_normals(record))
                    if self._sound(sample):
                        yield sample


def _normals(record: Record) -> NDArray[np.float32] | None:
    """(n, 3) of unit length, or zero where a record has none at a point."""
    if record.normals is None:
        return None
    normals = record.normals.astype(np.float32) / NORMAL_SCALE
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: NDArray[np.float32] = normals / np.maximum(lengths, 1 / NORMAL_SCALE)
    return unit
