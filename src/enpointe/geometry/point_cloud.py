"""A colored point cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Floats, Indices, extent, finite_floats, triples, unit_colors

if TYPE_CHECKING:
    from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Frame:
    """Where a shape stood before it was brought into the unit frame."""

    center: Float64[NDArray[np.float64], " 3"]
    """(3,) the middle of its bounding box, in world units."""
    side: float
    """The longest side of its bounding box, in world units."""

    def to_unit(self, points: ArrayLike) -> Float32[Floats, "n 3"]:
        """World (n, 3) to the unit frame."""
        return ((np.asarray(points, dtype=np.float64) - self.center) / self.side).astype(np.float32)

    def to_world(self, points: ArrayLike) -> Float32[Floats, "n 3"]:
        """Unit frame (n, 3) back to the world."""
        return (np.asarray(points, dtype=np.float64) * self.side + self.center).astype(np.float32)

    @classmethod
    def of(cls, points: Float32[Floats, "n 3"]) -> Frame:
        """The frame of points (n, 3); an InputError where they all coincide."""
        low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        side = float((high - low).max())
        if side == 0:
            raise InputError(f"points: expected an extent above zero, found {len(points)} at one place")
        return cls((low + high) / 2, side)


@dataclass(frozen=True, eq=False, init=False)
class PointCloud:
    """Points in space, each with a color and any number of further values.

    points: (n, 3) float32, finite, n >= 1; in the unit frame (z up, centered, longest side 1) unless said otherwise.
    colors: (n, 3) float32 sRGB in [0, 1].
    channels: name -> (n,) float32, finite.
    It is made of whatever becomes such arrays; all else raises InputError.
    """

    points: Float32[Floats, "n 3"]
    colors: Float32[Floats, "n 3"]
    channels: Mapping[str, Float32[Floats, " n"]]

    def __init__(self, points: ArrayLike, colors: ArrayLike, channels: Mapping[str, ArrayLike] | None = None) -> None:
        places = triples(points, "points")
        more = {name: _channel(values, name, len(places)) for name, values in (channels or {}).items()}
        object.__setattr__(self, "points", places)
        object.__setattr__(self, "colors", unit_colors(colors, len(places)))
        object.__setattr__(self, "channels", more)

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        channels = f", channels {', '.join(self.channels)}" if self.channels else ""
        return f"PointCloud({len(self):,} points, {extent(self.points)}, with colors{channels})"

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: not the search tree, which is made when it is needed."""
        return {"points": self.points, "colors": self.colors, "channels": self.channels}

    @classmethod
    def load(cls, path: str | Path) -> PointCloud:
        """A cloud from .npz (the Point-E release's arrays coords, R, G, B), .ply, or another format of `io.formats`.

        Points without colors become gray, with a LostDataWarning.

        Raises:
            InputError: there is no such file, or it is not sound.
        """
        from enpointe.io.formats import load_cloud

        return load_cloud(Path(path))

    def show(self, title: str = "") -> Path | None:
        """Shows the cloud, to turn with the mouse: in a notebook, else in the browser; see `show.show_page`."""
        from enpointe.render import show, viewer

        return show.show_page(viewer.render(self, None, title))

    def _repr_html_(self) -> str:
        from enpointe.render import show, viewer

        return show.notebook_frame(viewer.render(self, None, ""))

    def save(self, path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Writes .ply (colors of 8 bits, no channels), .npz (exact), or another format of `io.formats`.

        The file is whole or absent. Channels that are left out are a LostDataWarning.

        Args:
            provenance: prompt, seed, version, ...: a JSON object for the place that the format has for remarks.

        Raises:
            InputError: the suffix is of no format that clouds are written in.
            OutputError: the file cannot be written.
        """
        from enpointe.io.formats import save_cloud

        save_cloud(self, path, provenance)

    def to_trimesh(self) -> Any:
        """A trimesh.PointCloud, with colors of 8 bits and without the channels; InputError without that package."""
        from enpointe.io._trimesh import cloud_to_trimesh

        return cloud_to_trimesh(self)

    @classmethod
    def from_trimesh(cls, other: Any) -> PointCloud:
        """A trimesh.PointCloud as it stands. Points without colors become gray, with a LostDataWarning."""
        from enpointe.io._trimesh import cloud_from_trimesh

        return cloud_from_trimesh(other)

    def normalized(self) -> tuple[PointCloud, Frame]:
        """The cloud in the unit frame, and the frame whose `to_world` undoes it."""
        frame = Frame.of(self.points)
        return PointCloud(frame.to_unit(self.points), self.colors, self.channels), frame

    def select(self, indices: ArrayLike, *, average_neighbors: bool = False) -> PointCloud:
        """The points at `indices` (m,), in that order.

        With `average_neighbors` a color or channel is the mean over all the points of this cloud whose
        nearest selected point it is, as in the release: less noise than one point's own color.
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or len(chosen) == 0:
            raise InputError(f"indices: expected a list of integers, found {chosen.dtype} of shape {chosen.shape}")
        if chosen.min() < -len(self) or chosen.max() >= len(self):
            raise InputError(f"indices: expected below {len(self)}, found {chosen.min()} to {chosen.max()}")
        picked = PointCloud(
            self.points[chosen], self.colors[chosen], {name: v[chosen] for name, v in self.channels.items()}
        )
        if not average_neighbors:
            return picked
        owner = picked.nearest(self.points)
        owner[chosen] = np.arange(len(chosen))  # a copy of a chosen point may lie nearer by rounding, or as near
        count = np.maximum(np.bincount(owner, minlength=len(chosen)), 1)

        def mean(values: Float32[Floats, " n"]) -> Float64[NDArray[np.float64], " m"]:
            return np.bincount(owner, weights=values, minlength=len(chosen)) / count

        return PointCloud(
            picked.points,
            np.stack([mean(self.colors[:, i]) for i in range(3)], axis=1).astype(np.float32),
            {name: mean(values).astype(np.float32) for name, values in self.channels.items()},
        )

    def nearest(self, queries: ArrayLike) -> Int64[Indices, " m"]:
        """For each of queries (m, 3) the index of the nearest point: (m,)."""
        return self.neighbors(queries, 1)[1][:, 0]

    def neighbors(
        self, queries: ArrayLike, k: int
    ) -> tuple[Float64[NDArray[np.float64], "m {k}"], Int64[Indices, "m {k}"]]:
        """For each of queries (m, 3) the k nearest points, nearest first: distances (m, k) and indices (m, k)."""
        if not 1 <= k <= len(self):
            raise InputError(f"k: expected 1 to {len(self)}, the number of points, found {k}")
        distances, indices = self._tree.query(triples(queries, "queries"), k=np.arange(1, k + 1))
        return distances, indices.astype(np.int64)

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)


def _channel(values: Any, name: str, count: int) -> Float32[Floats, " {count}"]:
    array = finite_floats(values, f"channel {name!r}")
    if array.shape != (count,):
        raise InputError(f"channel {name!r}: expected shape ({count},), found {array.shape}")
    return array
