"""Several data sets as one, in proportion to their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Dataset, Stream, check_identity, check_share, count
from enpointe.data.example import Example


@dataclass(frozen=True)
class Mixture:
    """Data sets with weights: every example comes from one of them, drawn with a probability in proportion to these.

    Each goes through its own epochs, at its own pace.

    Attributes:
        parts: the data sets and their weights.
        rank: whose share it is; each rank draws for itself.

    Raises:
        InputError: there are no parts, or a weight is not positive.
    """

    parts: tuple[tuple[Dataset, float], ...]
    rank: int = 0

    def __post_init__(self) -> None:
        self.check([weight for _, weight in self.parts])

    @staticmethod
    def check(weights: Sequence[float]) -> None:
        """InputError where there are none, or one is not positive."""
        if not weights or not all(0 < weight < float("inf") for weight in weights):
            raise InputError(f"mixture: expected data sets with weights above 0, found weights {list(weights)}")

    @property
    def size(self) -> int | None:
        """How many examples its parts have."""
        sizes = [part.size for part, _ in self.parts]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def split(self, held_out: bool) -> Self:
        return replace(self, parts=tuple((part.split(held_out), weight) for part, weight in self.parts))

    def share(self, rank: int, ranks: int) -> Self:
        check_share(rank, ranks)
        return replace(self, parts=tuple((part.share(rank, ranks), weight) for part, weight in self.parts), rank=rank)

    def stream(self, seed: int = 0) -> MixtureStream:
        streams = [part.stream(seed + number) for number, (part, _) in enumerate(self.parts)]
        return MixtureStream(streams, [weight for _, weight in self.parts], seed, self.rank)


class MixtureStream(Stream):
    """See `Mixture.stream`."""

    def __init__(self, streams: Sequence[Stream], weights: Sequence[float], seed: int, rank: int) -> None:
        self._streams = streams
        self._ends = np.cumsum(weights) / np.sum(weights)
        self._identity = {"weights": list(weights), "seed": seed, "rank": rank}
        self._entropy = (seed, rank)
        self._drawn = 0

    def __next__(self) -> Example:
        draw = np.random.default_rng([*self._entropy, self._drawn, 3]).random()
        self._drawn += 1
        return next(self._streams[int(np.searchsorted(self._ends[:-1], draw, side="right"))])

    def state_dict(self) -> dict[str, Any]:
        return {**self._identity, "drawn": self._drawn, "parts": [stream.state_dict() for stream in self._streams]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_identity(state, self._identity)
        self._drawn = count(state, "drawn")
        for stream, part in zip(self._streams, state["parts"], strict=True):
            stream.load_state_dict(part)
