"""Points as flat discs, seen without perspective: the quickest image of a cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.render.software.axes import ViewAxes, view_axes


def splat(
    points: ArrayLike,
    colors: ArrayLike,
    azimuth: float = 30.0,
    elevation: float = 20.0,
    size: int = 256,
    radius: float | None = None,
    span: float = 1.55,
) -> NDArray[np.uint8]:
    """An orthographic image (size, size, 3) uint8 of points (n, 3), z up, colors (n, 3) in [0, 1].

    `azimuth` 0 looks at the front (from -y); it and `elevation` are degrees. `span` is the side of
    the square of world units that the image shows. Nearer points are a little brighter.
    """
    points, colors = np.asarray(points, dtype=np.float64), np.asarray(colors, dtype=np.float64)
    if radius is None:
        radius = size / 256 * 3.4 * (1024 / max(len(points), 64)) ** 0.4
    winner, depth = nearest_discs(points, view_axes(azimuth, elevation), size, radius, span)
    light = 1.0 - 0.35 * np.clip(depth + 0.5, 0, 1.2)
    paint = (np.clip(colors * light[:, None], 0, 1) * 255).astype(np.uint8)
    return np.concatenate([paint, np.full((1, 3), 255, dtype=np.uint8)])[winner]


def nearest_discs(
    points: NDArray[np.float64], view: ViewAxes, size: int, radius: float, span: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which point's disc each pixel shows: (size, size) indices, -1 where none; and each point's depth (n,).

    `radius` is in pixels, `span` the world side of the square that the image shows.
    """
    scale = size / span
    depth = points @ view.away
    px = np.floor(points @ view.right * scale + size / 2).astype(np.intp)
    py = np.floor(size / 2 - points @ view.up * scale).astype(np.intp)
    order = np.argsort(-depth)  # far to near
    order = order[(px[order] >= 0) & (px[order] < size) & (py[order] >= 0) & (py[order] < size)]
    reach = int(np.floor(radius))
    width = size + 2 * reach
    rank_at = np.full(width * width, -1)
    at = (py[order] + reach) * width + px[order] + reach
    rank = np.arange(len(order))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                spot = at + (dy * width + dx)
                in_front = rank > rank_at[spot]
                # Of several points in one pixel the last one written, the nearest, stays.
                rank_at[spot[in_front]] = rank[in_front]
    shown = rank_at.reshape(width, width)[reach : reach + size, reach : reach + size]
    return np.append(order, -1)[shown], depth
