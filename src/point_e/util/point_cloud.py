"""The release's point cloud: plain arrays, over enpointe.geometry."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe import geometry
from enpointe.core.errors import InputError
from enpointe.geometry.subsample import farthest_point

from .files import File, read_arrays, write_arrays
from .ply_util import write_ply

Floats = NDArray[Any]
Indices = NDArray[np.int64]

COLORS = frozenset("RGBA")


def preprocess(data: Floats, channel: str) -> Floats:
    """A channel's values (n,); colours as whole numbers from 0 to 255."""
    return np.round(data * 255) if channel in COLORS else data


@dataclass
class PointCloud:
    """Points and values at each: coords (n, 3), channels name -> (n,); "R", "G", "B" and "A" in [0, 1]."""

    coords: Floats
    channels: dict[str, Floats]

    @classmethod
    def load(cls, f: File) -> PointCloud:
        """From an NPZ file, by name or open."""
        channels = read_arrays(f)
        if "coords" not in channels:
            raise InputError(f"{f}: expected an array coords, found {', '.join(channels) or 'none'}")
        return cls(channels.pop("coords"), channels)

    def save(self, f: File) -> None:
        """To an NPZ file, by name or open."""
        write_arrays(f, {"coords": self.coords, **self.channels})

    def write_ply(self, raw_f: BinaryIO) -> None:
        """To an open PLY file, with colours if there are any."""
        colored = all(name in self.channels for name in "RGB")
        rgb = np.stack([self.channels[name] for name in "RGB"], axis=1) if colored else None
        write_ply(raw_f, self.coords, rgb)

    def random_sample(self, num_points: int, **subsample_kwargs: Any) -> PointCloud:
        """At most so many points, drawn from numpy's global generator as the release does; all of them: itself."""
        if len(self.coords) <= num_points:
            return self
        chosen = np.random.choice(len(self.coords), size=(num_points,), replace=False)  # noqa: NPY002 - np.random.seed
        return self.subsample(chosen, **subsample_kwargs)

    def farthest_point_sample(
        self, num_points: int, init_idx: int | None = None, **subsample_kwargs: Any
    ) -> PointCloud:
        """At most so many points, spread evenly, the first drawn from `random` unless it is given; all: itself."""
        if len(self.coords) <= num_points:
            return self
        start = random.randrange(len(self.coords)) if init_idx is None else init_idx
        return self.subsample(farthest_point(self.coords, num_points, start=start), **subsample_kwargs)

    def subsample(self, indices: ArrayLike, average_neighbors: bool = False) -> PointCloud:
        """The points at indices (m,); with `average_neighbors` channels are means, see `geometry.PointCloud.select`."""
        chosen = np.asarray(indices)
        if not average_neighbors:
            return PointCloud(self.coords[chosen], {name: values[chosen] for name, values in self.channels.items()})
        averaged = self._ours().select(chosen, average_neighbors=True).channels
        return PointCloud(self.coords[chosen], dict(averaged))

    def select_channels(self, channel_names: Sequence[str]) -> Floats:
        """Channels as columns (n, m), see `preprocess`."""
        return np.stack([preprocess(self.channels[name], name) for name in channel_names], axis=-1)

    def nearest_points(self, points: ArrayLike, batch_size: int = 16384) -> Indices:
        """For each of points (m, 3) the index of the nearest of this cloud: (m,). batch_size is not used."""
        _ = batch_size
        return self._ours().nearest(points)

    def combine(self, other: PointCloud) -> PointCloud:
        """Both clouds' points; their channels must be the same."""
        if self.channels.keys() != other.channels.keys():
            raise InputError(f"channels: expected {sorted(self.channels)} in both, found {sorted(other.channels)}")
        channels = {name: np.concatenate([values, other.channels[name]]) for name, values in self.channels.items()}
        return PointCloud(np.concatenate([self.coords, other.coords]), channels)

    def _ours(self) -> geometry.PointCloud:
        """As enpointe's cloud, every channel (colours too) among its further ones."""
        return geometry.PointCloud(self.coords, np.zeros((len(self.coords), 3), np.float32), self.channels)
