"""Reading shards for training: shuffled, split over processes, continued where it stopped."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.shards.buckets import read_weights
from enpointe.data.shards.index import read_index, read_shard
from enpointe.data.shards.records import Record
from enpointe.data.shards.store import Store


class ShardReader:
    """An epoch of records at each iteration, from the very place where the last one stopped.

    The order of an epoch is a function of seed and epoch: shards in random order, the records of each in
    random order. As records are spread over shards by hashes, that mixes as well as a shuffle of all. Every
    part reads an equal share of that order, in one piece, so that it opens few shards that others open too.
    The parts together read every record once (more or less often where it lies in a bucket of a weight
    other than one, see `buckets`), and no other.
    """

    def __init__(
        self, place: str | Path, *, seed: int = 0, shuffle: bool = True, part: int = 0, parts: int = 1,
        weighted: bool = True,
    ) -> None:  # fmt: skip
        """Open a set of shards.

        Args:
            place: a folder or an fsspec URL.
            seed: of the order.
            shuffle: False reads in the order of the shards.
            part, parts: which share is read, 0 <= part < parts: of a data loader's worker, that of
                rank * workers + worker, of ranks * workers.
            weighted: whether the weights of buckets count, where there are buckets.

        Raises:
            InputError: there is no such set, it is damaged, or there is no such part.
        """
        if not 0 <= part < parts:
            raise InputError(f"expected 0 <= part < parts, found part {part} of {parts}")
        self._store = Store(place)
        self._shards = read_index(self._store).shards
        sizes = [shard.records for shard in self._shards]
        self._weights = read_weights(self._store, sizes) if weighted else None
        self._first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._seed, self._shuffle, self._part, self._parts = seed, shuffle, part, parts
        self._epoch = self._done = 0

    def __len__(self) -> int:
        """How many records this part reads in the present epoch, those that were read before included."""
        low, high = self._share(self._copies())
        return high - low

    @property
    def weighted(self) -> bool:
        """Whether weights of buckets count: epochs then differ in length."""
        return self._weights is not None

    def __iter__(self) -> Iterator[Record]:
        """What is left of the present epoch; the next iteration is the next epoch.

        Raises:
            InputError: a shard is absent or damaged.
        """
        copies = self._copies()
        low, high = self._share(copies)
        start = 0  # place of the shard's first record in the order of all
        for number in self._shard_order():
            order = self._record_order(int(number), copies)
            wanted = order[max(low + self._done - start, 0) : max(high - start, 0)]
            start += len(order)
            if len(wanted) == 0:
                continue
            records = read_shard(self._store, self._shards[number])
            for i in wanted:
                self._done += 1  # before: who keeps the state while it works on a record has had this record
                yield records[i]
        self._epoch, self._done = self._epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""
        return {**self._identity(), "epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken; a started iteration must not be used any more.

        Raises:
            InputError: it is of another set, order or part.
        """
        found = {name: state.get(name) for name in self._identity()}
        if found != self._identity():
            raise InputError(f"expected the state of a reader of {self._identity()}, found one of {found}")
        epoch, done = state.get("epoch"), state.get("done")
        if not (isinstance(epoch, int) and isinstance(done, int) and epoch >= 0 and done >= 0):
            raise InputError(f"expected epoch and done as whole numbers, found {epoch!r} and {done!r}")
        self._epoch, self._done = epoch, done

    def _identity(self) -> dict[str, Any]:
        return {
            "records": int(self._first[-1]), "seed": self._seed, "shuffle": self._shuffle, "part": self._part,
            "parts": self._parts, "weights": None if self._weights is None else zlib.crc32(self._weights.tobytes()),
        }  # fmt: skip

    def _rng(self, *more: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, self._epoch, *more])

    def _copies(self) -> NDArray[np.int64]:
        """How often each record comes in this epoch: its weight, rounded up or down at random."""
        total = int(self._first[-1])
        if self._weights is None:
            return np.ones(total, np.int64)
        return np.floor(self._weights + self._rng(0).random(total)).astype(np.int64)

    def _share(self, copies: NDArray[np.int64]) -> tuple[int, int]:
        total = int(copies.sum())
        return self._part * total // self._parts, (self._part + 1) * total // self._parts

    def _shard_order(self) -> NDArray[np.int64]:
        n = len(self._shards)
        return self._rng(1).permutation(n) if self._shuffle else np.arange(n)

    def _record_order(self, number: int, copies: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places within the shard."""
        own = copies[self._first[number] : self._first[number + 1]]
        places = np.repeat(np.arange(len(own)), own)
        return self._rng(2, number).permutation(places) if self._shuffle else places


def read_shards(
    place: str | Path, *, seed: int = 0, shuffle: bool = True, part: int = 0, parts: int = 1, weighted: bool = True
) -> ShardReader:
    """See `ShardReader`."""
    return ShardReader(place, seed=seed, shuffle=shuffle, part=part, parts=parts, weighted=weighted)
