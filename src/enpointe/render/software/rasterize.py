"""Triangles to pixels with a depth buffer, in numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CHUNK = 1_000_000  # (triangle, pixel) pairs looked at together: bounds the memory
EDGE = 1e-5  # of a triangle: float32 rounding must not open cracks between neighbors


def rasterize(
    screen: NDArray[np.float64],
    faces: NDArray[np.int64],
    size: int,
    *,
    cull: bool = False,
    keep: Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.bool_]] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """The nearest face at each pixel center of a square image.

    screen: (v, 3) x to the right and y down in pixels, depth away from the eye. `cull` leaves out faces that
    turn clockwise in the image as a viewer sees it, the far side of a closed mesh. `keep` says of faces (n,) and
    weights (n, 3) which of these places are there; the others are seen through.
    Returns face (size, size), -1 where none; barycentric weights (size, size, 3); depth, infinite where none.
    """
    face_at = np.full(size * size, -1, dtype=np.int64)
    weights_at = np.zeros((size * size, 3), dtype=np.float32)
    depth_at = np.full(size * size, np.inf)
    corners = screen[faces]
    x, y, depth = corners[:, :, 0], corners[:, :, 1], corners[:, :, 2]
    # Twice the signed area; negative is counter-clockwise to a viewer, for y runs down.
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left, right = _pixel_range(x, size)
    top, bottom = _pixel_range(y, size)
    kept = np.flatnonzero((area < 0 if cull else area != 0) & (right >= left) & (bottom >= top))
    x, y, depth, area, left, top = x[kept], y[kept], depth[kept], area[kept], left[kept], top[kept]
    width, height = right[kept] - left + 1, bottom[kept] - top + 1
    # The second and third weight are planes over (column - left, row - top): value at the corner, slopes.
    dx, dy = left + 0.5 - x[:, 0], top + 0.5 - y[:, 0]
    e1x, e1y, e2x, e2y = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0], x[:, 2] - x[:, 0], y[:, 2] - y[:, 0]
    planes = np.stack(
        [dx * e2y - dy * e2x, e2y, -e2x, dy * e1x - dx * e1y, -e1y, e1x]
    ) / area  # fmt: skip
    planes = planes.astype(np.float32)
    pairs = width * height
    for start, stop in _runs(np.cumsum(pairs) // CHUNK):
        part, count = slice(start, stop), pairs[start:stop]
        one = np.repeat(np.arange(start, stop), count)
        place = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
        row, column = np.divmod(place, np.repeat(width[part], count))
        u0, ux, uy, v0, vx, vy = np.repeat(planes[:, part], count, axis=1)
        u, v = u0 + ux * column + uy * row, v0 + vx * column + vy * row
        inside = np.flatnonzero((u >= -EDGE) & (v >= -EDGE) & (u + v <= 1 + EDGE))
        one = one[inside]
        pixel = (top[one] + row[inside]) * size + left[one] + column[inside]
        weights = np.stack([1 - u[inside] - v[inside], u[inside], v[inside]], axis=1).astype(np.float32)
        far = np.einsum("nc,nc->n", depth[one], weights)
        nearer = np.flatnonzero(far < depth_at[pixel])
        if keep is not None:
            nearer = nearer[keep(kept[one[nearer]], weights[nearer])]
        nearer = nearer[np.argsort(-far[nearer], kind="stable")]  # the last one written to a pixel is the nearest
        depth_at[pixel[nearer]] = far[nearer]
        face_at[pixel[nearer]] = kept[one[nearer]]
        weights_at[pixel[nearer]] = weights[nearer]
    return face_at.reshape(size, size), weights_at.reshape(size, size, 3), depth_at.reshape(size, size)


def _pixel_range(values: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last pixel whose center, a half-integer, lies within each triangle's extent (f, 3)."""
    first = np.clip(np.ceil(np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2]) - 0.5), 0, size).astype(
        np.int64
    )
    last = np.clip(
        np.floor(np.maximum(np.maximum(values[:, 0], values[:, 1]), values[:, 2]) - 0.5), -1, size - 1
    ).astype(np.int64)
    return first, last


def _runs(group: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of equal numbers."""
    edges = np.flatnonzero(np.diff(group)) + 1
    bounds = [0, *edges.tolist(), len(group)] if len(group) else []
    return list(pairwise(bounds))
