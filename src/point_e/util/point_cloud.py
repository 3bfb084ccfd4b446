"""The release's point cloud: plain arrays of anything that goes with points."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError
from enpointe.geometry.subsample import farthest_point

from .files import File, read_arrays, write_arrays
from .ply_util import write_ply

Floats = NDArray[Any]
Indices = NDArray[np.int64]

COLORS = frozenset("RGBA")


def preprocess(data: Floats, channel: str) -> Floats:
    """A channel's values (n,); colors as whole numbers from 0 to 255."""
    return np.round(data * 255) if channel in COLORS else data


@dataclass
class PointCloud:
    """Points and values at each: coords (n, 3), channels name -> (n,); "R", "G", "B" and "A" in [0, 1]."""

    coords: Floats
    channels: dict[str, Floats]

    @classmethod
    def load(cls, f: File) -> PointCloud:
        """From an NPZ file, by name or open. As in the release a subclass's is a plain one too."""
        channels = read_arrays(f)
        if "coords" not in channels:
            raise InputError(f"{f}: expected an array coords, found {', '.join(channels) or 'none'}")
        return PointCloud(coords=channels.pop("coords"), channels=channels)

    def save(self, f: File) -> None:
        """To an NPZ file, by name or open."""
        write_arrays(f, {"coords": self.coords, **self.channels})

    def write_ply(self, raw_f: BinaryIO) -> None:
        """To an open PLY file, with colors if there are any."""
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
        start = range(len(self.coords))[start]  # counted from the end where it is below zero
        return self.subsample(farthest_point(self.coords, num_points, start=start), **subsample_kwargs)

    def subsample(self, indices: ArrayLike, average_neighbors: bool = False) -> PointCloud:
        """The points at indices (m,).

        With `average_neighbors` a channel is the mean over all the points whose nearest chosen point it is.
        """
        chosen = np.asarray(indices)
        coords, picked = self.coords[chosen], {name: values[chosen] for name, values in self.channels.items()}
        if not average_neighbors:
            return PointCloud(coords=coords, channels=picked)
        owner = PointCloud(coords=coords, channels={}).nearest_points(self.coords)
        owner[chosen] = np.arange(len(chosen))  # a copy of a chosen point may lie as near, or nearer by rounding
        counts = np.maximum(np.bincount(owner, minlength=len(chosen)), 1)
        for name, values in self.channels.items():
            sums = np.bincount(owner, weights=values, minlength=len(chosen))
            picked[name] = (sums / counts).astype(np.true_divide(values[:0], 1).dtype)
        return PointCloud(coords=coords, channels=picked)

    def select_channels(self, channel_names: Sequence[str]) -> Floats:
        """Channels as columns (n, m), see `preprocess`."""
        return np.stack([preprocess(self.channels[name], name) for name in channel_names], axis=-1)

    def nearest_points(self, points: ArrayLike, batch_size: int = 16384) -> Indices:
        """For each of points (m, 3) the index of the nearest of this cloud: (m,). batch_size is not used.

        Raises:
            InputError: no point to be the nearest, or NaN or infinity among them.
        """
        _ = batch_size
        if len(self.coords) == 0:
            raise InputError("coords: expected at least one point, found none")
        try:
            _, index = cKDTree(self.coords).query(np.asarray(points))
        except ValueError as error:
            raise InputError(f"points: expected finite numbers of shape (n, 3), found others: {error}") from None
        return np.asarray(index, dtype=np.int64)

    def combine(self, other: PointCloud) -> PointCloud:
        """Both clouds' points; their channels must be the same."""
        if self.channels.keys() != other.channels.keys():
            raise InputError(f"channels: expected {sorted(self.channels)} in both, found {sorted(other.channels)}")
        channels = {name: np.concatenate([values, other.channels[name]]) for name, values in self.channels.items()}
        return PointCloud(coords=np.concatenate([self.coords, other.coords]), channels=channels)
