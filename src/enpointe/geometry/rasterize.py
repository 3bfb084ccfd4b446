"""Triangles to pixels with a depth buffer, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 1_000_000  # (triangle, pixel) pairs looked at together: bounds the memory


def rasterize(
    screen: NDArray[np.float64], faces: NDArray[np.int64], size: int, *, cull: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """The nearest face at each pixel centre of a square picture.

    screen: (v, 3) x to the right and y down in pixels, depth away from the eye. `cull` leaves out faces that
    turn clockwise in the picture as a viewer sees it, the far side of a closed mesh.
    Returns face (size, size), -1 where none; barycentric weights (size, size, 3); depth, infinite where none.
    """
    face_at = np.full(size * size, -1, dtype=np.int64)
    weights_at = np.zeros((size * size, 3), dtype=np.float32)
    depth_at = np.full(size * size, np.inf)
    corners = screen[faces]
    x, y = corners[:, :, 0], corners[:, :, 1]
    # Twice the signed area; negative is counter-clockwise to a viewer, for y runs down.
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    # Pixel centres lie at half-integers: the first and last one inside the bounding box.
    left, right = _pixel_range(x, size)
    top, bottom = _pixel_range(y, size)
    seen = (area < 0 if cull else area != 0) & (right >= left) & (bottom >= top)
    kept = np.flatnonzero(seen)
    width = (right - left + 1)[kept]
    pairs = width * (bottom - top + 1)[kept]
    # A single huge triangle may exceed the chunk, by one picture at most.
    group = np.cumsum(pairs) // CHUNK
    for start, stop in _runs(group):
        part, count, wide = kept[start:stop], pairs[start:stop], width[start:stop]
        face = np.repeat(part, count)
        place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
        wide_each = np.repeat(wide, count)
        column = left[face] + place % wide_each
        row = top[face] + place // wide_each
        px, py = column + 0.5, row + 0.5
        fx, fy = x[face], y[face]
        w1 = ((px - fx[:, 0]) * (fy[:, 2] - fy[:, 0]) - (fx[:, 2] - fx[:, 0]) * (py - fy[:, 0])) / area[face]
        w2 = ((fx[:, 1] - fx[:, 0]) * (py - fy[:, 0]) - (px - fx[:, 0]) * (fy[:, 1] - fy[:, 0])) / area[face]
        w0 = 1 - w1 - w2
        inside = (w0 >= 0) & (w1 >= 0) & (w2 >= 0)
        face, pixel = face[inside], (row * size + column)[inside]
        weights = np.stack([w0[inside], w1[inside], w2[inside]], axis=1)
        depth = (corners[face, :, 2] * weights).sum(axis=1)
        nearer = np.flatnonzero(depth < depth_at[pixel])
        nearer = nearer[np.argsort(-depth[nearer], kind="stable")]  # the last one written to a pixel is the nearest
        depth_at[pixel[nearer]] = depth[nearer]
        face_at[pixel[nearer]] = face[nearer]
        weights_at[pixel[nearer]] = weights[nearer]
    return face_at.reshape(size, size), weights_at.reshape(size, size, 3), depth_at.reshape(size, size)


def _pixel_range(values: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = np.clip(np.ceil(values.min(axis=1) - 0.5), 0, size).astype(np.int64)
    last = np.clip(np.floor(values.max(axis=1) - 0.5), -1, size - 1).astype(np.int64)
    return first, last


def _runs(group: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of equal numbers."""
    edges = np.flatnonzero(np.diff(group)) + 1
    bounds = [0, *edges.tolist(), len(group)] if len(group) else []
    return list(zip(bounds[:-1], bounds[1:], strict=True))
