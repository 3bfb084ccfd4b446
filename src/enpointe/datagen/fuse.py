"""Views of an object, back-projected and fused into one coloured cloud (arXiv 2212.08751, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.datagen.views import View
from enpointe.errors import InputError
from enpointe.geometry.subsample import farthest_point

_CANDIDATES = 24
"""Pixels drawn for each point wanted, of which the farthest are kept: more make no evener cloud."""
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
    """Of as many points as were wanted, each the farthest from those before it: any beginning is even, too."""


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
    pixels = _all_pixels(views)
    return DenseCloud(*_points(views, pixels), _normals(views, pixels), *_labels(views, pixels))


def fuse(views: Sequence[View], n_points: int = 4096, seed: int = 0) -> FusedCloud:
    """An even cloud of n_points: the same for the same views and seed.

    Of pixels drawn at random from all views, farthest-point sampling keeps n_points. An object that is
    seen in fewer pixels repeats some.

    Raises:
        InputError: no pixel is usable, or `n_points` is not positive.
    """
    if n_points < 1:
        raise InputError(f"expected at least one point, found n_points = {n_points}")
    rng = np.random.default_rng(seed)
    pixels = _all_pixels(views)
    total = sum(map(len, pixels))
    candidates = _CANDIDATES * n_points
    if total > candidates:
        pixels = _select(pixels, np.sort(rng.choice(total, candidates, replace=False)))
        total = candidates
    points, _ = _points(views, pixels)
    chosen = _farthest(points, min(n_points, total), rng)
    if total < n_points:
        chosen = np.concatenate([chosen, rng.choice(total, n_points - total)])
    # What else there is to know is looked up for these alone, in the order of the views.
    order, back = np.unique(chosen, return_inverse=True)
    pixels = _select(pixels, order)
    points, colors = _points(views, pixels)
    material, view = _labels(views, pixels)
    return FusedCloud(points[back], colors[back], _normals(views, pixels)[back], material[back], view[back])


def _all_pixels(views: Sequence[View]) -> list[NDArray[np.int64]]:
    """Flat indices of the usable pixels of each view."""
    pixels = [np.flatnonzero(usable_pixels(view)) for view in views]
    if not any(map(len, pixels)):
        raise InputError(f"expected an object in {len(views)} views, found none wholly covering a pixel")
    return pixels


def _select(pixels: list[NDArray[np.int64]], which: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Those of all views' pixels in a row that have the rising indices `which`, again for each view."""
    borders = np.cumsum([0, *map(len, pixels)])
    ends = np.searchsorted(which, borders)
    return [
        kept[which[start:end] - border]
        for kept, start, end, border in zip(pixels, ends[:-1], ends[1:], borders[:-1], strict=True)
    ]


def _points(views: Sequence[View], pixels: list[NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points (n, 3) and colours (n, 3)."""
    points = [_lift(view, *np.divmod(kept, view.camera.size)) for view, kept in zip(views, pixels, strict=True)]
    colors = [view.color.reshape(-1, 4)[kept, :3] for view, kept in zip(views, pixels, strict=True)]
    return np.concatenate(points).astype(np.float32), np.concatenate(colors)


def _labels(views: Sequence[View], pixels: list[NDArray[np.int64]]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Material (n,) and view (n,)."""
    material = [view.material.reshape(-1)[kept] for view, kept in zip(views, pixels, strict=True)]
    return np.concatenate(material), np.repeat(np.arange(len(views), dtype=np.int16), list(map(len, pixels)))


def _lift(view: View, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    """Points (n, 3) seen at the centres of n pixels."""
    return view.camera.back_project(np.stack([column, row], axis=1) + 0.5, view.depth[row, column])


def _normals(views: Sequence[View], pixels: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    return np.concatenate([_view_normals(*pair) for pair in zip(views, pixels, strict=True)]).astype(np.float32)


def _view_normals(view: View, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) from what lies beside each of n pixels; towards the camera as far as that leaves open."""
    row, column = np.divmod(pixels, view.camera.size)
    points = _lift(view, row, column)
    across = _along(view, row, column, points, (0, 1))
    down = _along(view, row, column, points, (1, 0))
    towards = view.camera.position - points
    normals = np.cross(across, down)
    wire = np.flatnonzero(~normals.any(axis=1))
    tangent = across[wire] + down[wire]
    square = np.maximum(np.square(tangent).sum(axis=1), 1e-30)
    along = np.einsum("nd,nd->n", towards[wire], tangent) / square
    normals[wire] = towards[wire] - along[:, None] * tangent
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(np.einsum("nd,nd->n", normals, towards)[:, None] < 0, -normals, normals)


def _along(
    view: View, row: NDArray[np.int64], column: NDArray[np.int64], points: NDArray[np.float64], step: tuple[int, int]
) -> NDArray[np.float64]:
    """Tangents (n, 3) from each pixel to the one of its two neighbours that is nearer in depth; 0 without any."""
    size = view.camera.size
    here = view.depth[row, column]
    best = np.full(len(row), np.inf, np.float32)
    tangent = np.zeros((len(row), 3))
    for sign in (1, -1):
        r, c = row + sign * step[0], column + sign * step[1]
        at = np.flatnonzero((r >= 0) & (r < size) & (c >= 0) & (c < size))
        jump = np.abs(view.depth[r[at], c[at]] - here[at])
        # An outline's depth may be from beside the pixel's centre: it serves where nothing better does.
        jump += np.where(view.color[r[at], c[at], 3] == 255, np.float32(0), np.float32(10))
        nearer = jump < best[at]
        at = at[nearer]
        best[at] = jump[nearer]
        tangent[at] = sign * (_lift(view, r[at], c[at]) - points[at])
    return tangent


def _farthest(points: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,) by farthest-point sampling; with fpsample at a tenth of the time, from another first point."""
    start = int(rng.integers(len(points)))
    if len(points) >= _BUCKETED_FROM:
        try:
            import fpsample
        except ImportError:
            pass
        else:
            return fpsample.bucket_fps_kdline_sampling(points, n, _TREE_HEIGHT, start_idx=start).astype(np.int64)
    return farthest_point(points, n, start=start)
