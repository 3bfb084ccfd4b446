"""A pool as a data set: its objects, painted and captioned anew in every epoch."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Stream, check_identity, check_share, count
from enpointe.data.example import Distances, Example
from enpointe.data.pools.pool import Pool, read


@dataclass(frozen=True, eq=False)
class PoolDataset:
    """The objects of a pool.

    Attributes:
        pool: in memory.
        held_out: only the objects that `Pool.split` holds out, or only the others; None for all.
        rank, ranks: which share.
    """

    pool: Pool
    held_out: bool | None = None
    rank: int = 0
    ranks: int = 1

    @classmethod
    def open(cls, path: Path) -> Self:
        """All objects of a pool's file; InputError where it is none, or is damaged."""
        return cls(read(path))

    @property
    def size(self) -> int:
        low, high = self._bounds()
        return high - low

    def split(self, held_out: bool) -> Self:
        return replace(self, held_out=held_out)

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return replace(self, rank=rank, ranks=ranks)

    def stream(self, seed: int = 0) -> PoolStream:
        return PoolStream(self, seed)

    def __len__(self) -> int:
        """How many objects there are in all shares of this split."""
        return len(self.objects)

    def __getitem__(self, index: int) -> Example:
        """Object `index` of this split, always in the same paint and words."""
        number = int(self.objects[index])
        return self.example(number, np.random.default_rng(number))

    @cached_property
    def objects(self) -> NDArray[np.int64]:
        """The pool's indices in this split, all shares of it."""
        if self.held_out is None:
            return np.arange(len(self.pool))
        return self.pool.split()[int(self.held_out)]

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """All points of the pool's object `index`, freshly painted and captioned."""
        drawn = self.pool.draw(index, self.pool.points.shape[1], rng)
        known = self.pool.has_distance(index)
        return replace(drawn, distances=Distances(*self.pool.distances(index))) if known else drawn

    def epoch(self, seed: int, number: int) -> NDArray[np.int64]:
        """The pool's indices in this share, in the order of an epoch."""
        low, high = self._bounds()
        return np.random.default_rng([seed, number, 1]).permutation(self.objects)[low:high]

    def _bounds(self) -> tuple[int, int]:
        total = len(self.objects)
        return self.rank * total // self.ranks, (self.rank + 1) * total // self.ranks


class PoolStream(Stream):
    """See `PoolDataset.stream`."""

    def __init__(self, dataset: PoolDataset, seed: int) -> None:
        if not dataset.size:
            raise InputError(f"expected objects in this part of the pool, found none among {len(dataset.pool)}")
        self._dataset, self._seed = dataset, seed
        self._go_to(0, 0)

    def __next__(self) -> Example:
        if self._done == len(self._order):
            self._go_to(self._epoch + 1, 0)
        index = int(self._order[self._done])
        self._done += 1
        return self._dataset.example(index, np.random.default_rng([self._seed, self._epoch, 2, index]))

    def state_dict(self) -> dict[str, Any]:
        return {**self._identity, "epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_identity(state, self._identity)
        self._go_to(count(state, "epoch"), count(state, "done"))

    def _go_to(self, epoch: int, done: int) -> None:
        self._epoch, self._done = epoch, done
        self._order = self._dataset.epoch(self._seed, epoch)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        part = self._dataset
        return {
            "pool": zlib.crc32(np.ascontiguousarray(part.pool.points[:, 0]).tobytes()), "held_out": part.held_out,
            "rank": part.rank, "ranks": part.ranks, "seed": self._seed,
        }  # fmt: skip
