"""Pictures of clouds without a plotting library: points splatted far to near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def splat(
    points: NDArray[np.floating],
    colors: NDArray[np.floating],
    azimuth: float = 30.0,
    elevation: float = 20.0,
    size: int = 256,
    radius: float | None = None,
    span: float = 1.55,
) -> Image:
    """An orthographic picture (size, size, 3) uint8 of points (n, 3), z up, colors (n, 3) in [0, 1].

    `azimuth` 0 looks at the front (from -y); it and `elevation` are degrees. `span` is the side of
    the square of world units that the picture shows. Nearer points are a little brighter.
    """
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    right = np.array([np.cos(a), np.sin(a), 0])
    away = np.array([-np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), -np.sin(e)])
    up = np.cross(right, away)
    x, y, depth = (np.asarray(points, dtype=float) @ axis for axis in (right, up, away))
    scale = size / span
    if radius is None:
        radius = size / 256 * 3.4 * (1024 / max(len(points), 64)) ** 0.4
    far_to_near = np.argsort(-depth)
    px = ((x * scale + size / 2)[far_to_near]).astype(int)
    py = ((size / 2 - y * scale)[far_to_near]).astype(int)
    light = 1.0 - 0.35 * np.clip(depth[far_to_near] + 0.5, 0, 1.2)
    paint = np.clip(np.asarray(colors, dtype=float)[far_to_near] * light[:, None], 0, 1)
    paint = (paint * 255).astype(np.uint8)
    reach = int(np.ceil(radius))
    image = np.full((size + 2 * reach, size + 2 * reach, 3), 255, dtype=np.uint8)
    nearest = np.full(image.shape[:2], -1)
    rank = np.arange(len(px))
    shown = (px >= 0) & (px < size) & (py >= 0) & (py < size)
    px, py, paint, rank = px[shown] + reach, py[shown] + reach, paint[shown], rank[shown]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                np.maximum.at(nearest, (py + dy, px + dx), rank)
    covered = nearest >= 0
    by_rank = np.zeros((len(points), 3), dtype=np.uint8)
    by_rank[rank] = paint
    image[covered] = by_rank[nearest[covered]]
    return image[reach : reach + size, reach : reach + size]
