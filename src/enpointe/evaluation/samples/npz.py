"""The release's files of samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from enpointe.core.errors import InputError
from enpointe.evaluation.samples.npz_stream import CLOUDS, array_infos, npz_paths, stream_clouds
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.builder import GRAY

AT_ONCE = 64
"""Clouds that are in memory together."""


class NpzSamples(SampleSet):
    """The release's sample files: `arr_0` (n, points, 3), whatever n, in the memory of `AT_ONCE` clouds."""

    start_period = 64

    def __init__(self, pattern: str, limit: int | None = None) -> None:
        super().__init__(Path(pattern).name, "npz", limit)
        paths, rows = npz_paths(pattern)
        self._pattern, found = pattern, 0
        for path in paths:
            infos = array_infos(path)
            if CLOUDS not in infos:
                names = ", ".join(map(repr, infos)) or "no array"
                raise InputError(f"{path}: expected an array {CLOUDS!r} of clouds (n, points, 3), found {names}")
            found += infos[CLOUDS].shape[0] if infos[CLOUDS].shape else 0
        self._count = found if rows is None else min(found, rows)

    def _size(self) -> int:
        return self._count

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        number = 0
        for batch in stream_clouds(self._pattern, AT_ONCE):
            for points in batch:
                name, number = f"{CLOUDS}[{number}]", number + 1
                if only is not None and name not in only:
                    continue
                try:
                    sample = Sample(name, PointCloud(points, np.full(points.shape, GRAY, np.float32)))
                except InputError as error:
                    self.failures.append(Failure(name, str(error)))
                    continue
                if self._sound(sample):
                    yield sample
