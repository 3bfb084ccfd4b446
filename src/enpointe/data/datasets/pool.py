"""A pool as a data set: its objects, painted and captioned anew in every epoch."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import check_share
from enpointe.data.datasets.epochs import EpochStream, epoch_order
from enpointe.data.example import Distances, Example
from enpointe.data.pools.pool import Pool, read


@dataclass(frozen=True, eq=False)
class PoolDataset:
    """The objects of a pool.

    Attributes:
        pool: in memory.
        held_out: only the objects that `Pool.split` holds out, or only the others; None for all.
        rank, ranks: which share.
        weights: one for each of the pool's objects, not negative: how often it comes in an epoch, in proportion. An
            object of weight 0 is left out everywhere; where objects are held out, the others come once each. None:
            all once.
        path: the pool's file, from which other processes read it again.
    """

    pool: Pool
    held_out: bool | None = None
    rank: int = 0
    ranks: int = 1
    weights: NDArray[np.float64] | None = None
    path: Path | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """All objects of a pool's file; InputError where it is none, or is damaged."""
        return cls(read(path), path=path)

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: the file's place in place of its content."""
        part = (self.held_out, self.rank, self.ranks, self.weights)
        return (PoolDataset, (self.pool, *part)) if self.path is None else (_reopened, (self.path, *part))

    @property
    def size(self) -> int:
        low, high = self._bounds()
        return high - low

    def split(self, held_out: bool) -> Self:
        return replace(self, held_out=held_out)

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return replace(self, rank=rank, ranks=ranks)

    def weighted(self, weights: NDArray[np.float64]) -> Self:
        """The same objects, drawn with these weights, see the attribute; times those that they have."""
        return replace(self, weights=weights if self.weights is None else weights * self.weights)

    def stream(self, seed: int = 0) -> EpochStream:
        if not self.size:
            raise InputError(f"expected objects in this part of the pool, found none among {len(self.pool)}")
        return EpochStream(lambda number: self.epoch(seed, number), self.example, seed, self._identity)

    def __len__(self) -> int:
        """How many objects there are in all shares of this split."""
        return len(self.objects)

    def __getitem__(self, index: int) -> Example:
        """Object `index` of this split, always in the same paint and words."""
        number = int(self.objects[index])
        return self.example(number, np.random.default_rng(number))

    @cached_property
    def objects(self) -> NDArray[np.int64]:
        """The pool's indices in this split, all shares of it, in their order."""
        chosen = np.arange(len(self.pool)) if self.held_out is None else self.pool.split()[int(self.held_out)]
        return chosen if self.weights is None else chosen[self.weights[chosen] > 0]

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """All points of the pool's object `index`, freshly painted and captioned."""
        drawn = self.pool.draw(index, self.pool.points.shape[1], rng)
        known = self.pool.has_distance(index)
        distances = Distances(*self.pool.distances(index)) if known else None
        return replace(drawn, nouns=self.pool.nouns(index), distances=distances)

    def nouns(self, index: int) -> tuple[str, ...]:
        """What the pool's object `index` is, see `Pool.nouns`."""
        return self.pool.nouns(index)

    def epoch(self, seed: int, number: int) -> NDArray[np.int64]:
        """The pool's indices in this share, in the order of an epoch."""
        low, high = self._bounds()
        weights = None if self.weights is None or self.held_out else self.weights[self.objects]
        return epoch_order(self.objects, weights, np.random.default_rng([seed, number, 1]))[low:high]

    def _bounds(self) -> tuple[int, int]:
        total = len(self.objects)
        return self.rank * total // self.ranks, (self.rank + 1) * total // self.ranks

    @cached_property
    def _identity(self) -> dict[str, Any]:
        weights = None if self.weights is None else zlib.crc32(np.ascontiguousarray(self.weights).tobytes())
        return {
            "pool": zlib.crc32(np.ascontiguousarray(self.pool.points[:, 0]).tobytes()), "held_out": self.held_out,
            "rank": self.rank, "ranks": self.ranks, "weights": weights,
        }  # fmt: skip


def _reopened(path: Path, *part: Any) -> PoolDataset:
    return replace(PoolDataset(read(path), *part), path=path)
