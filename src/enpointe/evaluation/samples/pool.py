"""Pools made by `enpointe data build`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from enpointe.data.pools.pool import Pool
from enpointe.data.pools.pool import read as read_pool
from enpointe.evaluation.samples.sample import Sample, SampleSet
from enpointe.geometry.point_cloud import PointCloud


class PoolSamples(SampleSet):
    """The objects of a pool made by `enpointe data build`, each in one fixed paint."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        super().__init__(path.name, "pool", limit)
        self._pool: Pool = read_pool(path)

    def _size(self) -> int:
        return len(self._pool)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        stored = self._pool.points.shape[1]
        for i in range(len(self._pool)):
            name = f"{i:06d}"
            if only is None or name in only:
                drawn = self._pool.draw(i, stored, np.random.default_rng([0, i]))
                sample = Sample(name, PointCloud(drawn.points, drawn.colors), drawn.caption)
                if self._sound(sample):
                    yield sample
