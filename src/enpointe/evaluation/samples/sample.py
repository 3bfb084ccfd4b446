"""Clouds to be scored, one at a time, and what is known of them.

What cannot be read is left out and named in `failures`, never silently.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import Frame, PointCloud


@dataclass(frozen=True)
class Sample:
    """A cloud to be scored, and what is known of it.

    Attributes:
        name: of it in its set, which no other has.
        prompt, seed: what it was generated from, None where this is not known.
        cloud: in any frame.
        mesh: where there is one, in the same frame.
        seconds: that its generation took, by stage, where this is known.
        normals: (n, 3), unit normals at the cloud's points, where these are known.
    """

    name: str
    cloud: PointCloud
    prompt: str | None = None
    seed: int | None = None
    mesh: Mesh | None = None
    seconds: dict[str, float] | None = None
    normals: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Failure:
    """A sample that is left out, or what of it is, and why."""

    name: str
    reason: str


class SampleSet(ABC):
    """Samples that are read while they are iterated over, in an order that does not change.

    Attributes:
        place: where they come from, for a report.
        kind: "folder", "npz", "shards", "pool", ...
        failures: what the latest iteration left out.
        notes: caveats of the set as a whole.
        start_period: see `features.embed_batches`.
    """

    start_period = 1

    def __init__(self, place: str, kind: str, limit: int | None) -> None:
        self.place, self.kind = place, kind
        self.failures: list[Failure] = []
        self.notes: list[str] = []
        self._limit = limit

    def __len__(self) -> int:
        """How many there are at most; some may turn out to be broken."""
        return self._size() if self._limit is None else min(self._size(), self._limit)

    def __iter__(self) -> Iterator[Sample]:
        self.failures = []
        return itertools.islice(self._samples(), self._limit)

    def pick(self, names: set[str]) -> Iterator[Sample]:
        """Those of these names; `failures` stay as they are."""
        kept, self.failures = self.failures, []
        try:
            yield from (sample for sample in self._samples(names) if sample.name in names)
        finally:
            self.failures = kept

    @abstractmethod
    def _size(self) -> int: ...

    @abstractmethod
    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        """All of them; those not of the names in `only` may be left out."""

    def _sound(self, sample: Sample) -> bool:
        """Whether a sample has an extent; its failure is noted if not."""
        try:
            Frame.of(sample.cloud.points)
        except InputError as error:
            self.failures.append(Failure(sample.name, str(error)))
            return False
        return True
