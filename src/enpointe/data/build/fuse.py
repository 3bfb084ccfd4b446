"""Views of an object, back-projected and fused into one colored cloud (arXiv 2212.08751, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.subsample import farthest_point
from enpointe.render.view import View

_CANDIDATES = 16
"""Candidate pixels for each requested point, of which the farthest are kept: more make no evener cloud."""
_BUCKETED_FROM = 1024
"""Points from which on fpsample's tree is worth its making."""
_TREE_HEIGHT = 7


@dataclass(frozen=True)
class DenseCloud:
    """Points of the surface that views show.

    Attributes:
        points: (n, 3) float32 in the unit frame of the views' cameras.
        colors: (n, 3) uint8 sRGB.
        normals: (n, 3) float32, unit, on the side from which the point is seen.
        material: (n,) int16, index into the model's materials; -1 where unknown.
        view: (n,) int16, index of the view that shows the point.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    normals: NDArray[np.float32]
    material: NDArray[np.int16]
    view: NDArray[np.int16]


@dataclass(frozen=True)
class FusedCloud(DenseCloud):
    """As many points as were requested, each the farthest from those before it: any beginning is even, too."""


def usable_pixels(view: View) -> NDArray[np.bool_]:
    """(size, size): which pixels stand for a place of the surface.

    Those wholly covered; a pixel on the outline mixes the object with what is behind it. Where a part is
    too thin for any whole pixel, as a wire is, the pixels that it covers by half must do.
    """
    usable = view.opaque
    partial = (view.color[..., 3] >= 128) & np.isfinite(view.depth) & ~usable
    row, column = np.nonzero(partial)
    around = np.pad(usable, 1)
    beside = np.zeros(len(row), bool)
    for down in range(3):
        for right in range(3):
            beside |= around[row + down, column + right]
    usable[row, column] = ~beside
    return usable


def dense_cloud(views: Sequence[View]) -> DenseCloud:
    """Every usable pixel of every view as a point, view by view.

    Raises:
        InputError: there is none.
    """
    stack = _Stack(views)
    return DenseCloud(*stack.cloud(stack.usable()))


def fuse(views: Sequence[View], n_points: int = 4096, seed: int = 0) -> FusedCloud:
    """An even cloud of n_points: the same for the same views and seed.

    Of many pixels of all views, farthest-point sampling keeps n_points. An object that is seen in fewer
    pixels repeats some.

    Raises:
        InputError: no pixel is usable, or `n_points` is not positive.
    """
    if n_points < 1:
        raise InputError(f"expected at least one point, found n_points = {n_points}")
    rng = np.random.default_rng(seed)
    stack = _Stack(views)
    pixels = stack.usable()
    candidates = _CANDIDATES * n_points
    if len(pixels) > candidates:
        # One of each so many in a row: more even than as many drawn.
        pixels = pixels[((np.arange(candidates) + rng.random()) * (len(pixels) / candidates)).astype(np.int64)]
    chosen = _farthest(stack.points(pixels), min(n_points, len(pixels)), rng)
    if len(pixels) < n_points:
        chosen = np.concatenate([chosen, rng.choice(len(pixels), n_points - len(pixels))])
    return FusedCloud(*stack.cloud(pixels[chosen]))


class _Stack:
    """All views' pixels in one row, so that one number identifies a pixel of any of them.

    Methods take n such numbers.
    """

    def __init__(self, views: Sequence[View]) -> None:
        self._views = views
        cameras = [view.camera for view in views]
        self._size = np.array([camera.size for camera in cameras])
        self._start = np.cumsum([0, *self._size**2])
        self._focal = np.array([camera.focal for camera in cameras])
        self._pose = np.array([camera.world_from_camera for camera in cameras])
        self._depth = np.concatenate([view.depth.reshape(-1) for view in views])
        self._color = np.concatenate([view.color.reshape(-1, 4) for view in views])

    def usable(self) -> NDArray[np.int64]:
        """Those that stand for a place of the surface, rising."""
        usable = np.flatnonzero(np.concatenate([usable_pixels(view).reshape(-1) for view in self._views]))
        if len(usable) == 0:
            raise InputError(f"expected an object in {len(self._views)} views, found none wholly covering a pixel")
        return usable

    def cloud(self, pixels: NDArray[np.int64]) -> tuple[Any, ...]:
        """What clouds consist of."""
        view = self._view(pixels)
        material = np.concatenate([view.material.reshape(-1) for view in self._views])
        points = self.points(pixels)
        return points, self._color[pixels, :3], self._normals(pixels, points), material[pixels], view.astype(np.int16)

    def points(self, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 3) in the world."""
        view = self._view(pixels)
        return (self._turned(self._local(pixels, view), view) + self._pose[view, :3, 3]).astype(np.float32)

    def _normals(self, pixels: NDArray[np.int64], points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 3) from what lies beside each pixel; towards the camera as far as that leaves open."""
        view = self._view(pixels)
        towards = self._pose[view, :3, 3] - points
        across, down = self._tangents(pixels, view, (0, 1)), self._tangents(pixels, view, (1, 0))
        normals = np.cross(across, down)
        wire = np.flatnonzero(~normals.any(axis=1))
        tangent = across[wire] + down[wire]
        square = np.maximum(np.square(tangent).sum(axis=1), 1e-30)
        along = np.einsum("nd,nd->n", towards[wire], tangent) / square
        normals[wire] = towards[wire] - along[:, None] * tangent
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        facing = np.einsum("nd,nd->n", normals, towards) >= 0
        return np.where(facing[:, None], normals, -normals).astype(np.float32)

    def _tangents(
        self, pixels: NDArray[np.int64], view: NDArray[np.int64], step: tuple[int, int]
    ) -> NDArray[np.float64]:
        """(n, 3) through that one of two opposite neighbors which is nearer in depth; 0 without any."""
        size, here = self._size[view], self._local(pixels, view)
        place = np.divmod(pixels - self._start[view], size)
        best = np.full(len(pixels), np.inf, np.float32)
        tangents = np.zeros((len(pixels), 3))
        for sign in (1, -1):
            within = np.ones(len(pixels), bool)
            for at, by in zip(place, step, strict=True):
                within &= (at + sign * by >= 0) & (at + sign * by < size)
            beside = np.where(within, pixels + sign * (step[0] * size + step[1]), pixels)
            jump = np.where(within, np.abs(self._depth[beside] - self._depth[pixels]), np.float32(np.inf))
            # An outline may belong to another part: it serves where nothing better does.
            jump[self._color[beside, 3] < 255] += 10
            nearer = np.flatnonzero(jump < best)
            best[nearer] = jump[nearer]
            tangents[nearer] = sign * (self._local(beside[nearer], view[nearer]) - here[nearer])
        return self._turned(tangents, view)

    def _view(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._start, pixels, side="right") - 1

    def _local(self, pixels: NDArray[np.int64], view: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, 3) along the axes of each pixel's camera."""
        size, depth = self._size[view], self._depth[pixels]
        row, column = np.divmod(pixels - self._start[view], size)
        slope = depth / self._focal[view]
        return np.stack([(column + 0.5 - size / 2) * slope, (row + 0.5 - size / 2) * slope, depth], axis=1)

    def _turned(self, local: NDArray[np.float64], view: NDArray[np.int64]) -> NDArray[np.float64]:
        """Vectors (n, 3) along the cameras' axes -> along the world's."""
        return np.einsum("nij,nj->ni", self._pose[view, :3, :3], local)


def sampling_method() -> str:
    """What chooses a cloud's points here, with its version: clouds of different ones differ in their points.

    fpsample begins at whichever point its tree puts first, and has its own order of equally far points.
    """
    try:
        import fpsample  # noqa: F401
    except ImportError:
        return "numpy"
    return f"fpsample {version('fpsample')}"


def _farthest(points: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,) by farthest-point sampling; with fpsample at a tenth of the time (see `sampler`)."""
    start = int(rng.integers(len(points)))
    if len(points) >= _BUCKETED_FROM:
        try:
            import fpsample
        except ImportError:
            pass
        else:
            return fpsample.bucket_fps_kdline_sampling(points, n, _TREE_HEIGHT, start_idx=start).astype(np.int64)
    return farthest_point(points, n, start=start)
