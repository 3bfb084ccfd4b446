"""Pictures of clouds and meshes without a plotting library."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.errors import InputError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.geometry.rasterize import rasterize

Image = NDArray[np.uint8]

MARGIN = 1.06  # of the widest view
OVERSAMPLING = 2  # a picture is drawn this much larger and averaged down, for smooth edges
BARE = 0.72  # grey of a mesh without colours


class Camera(NamedTuple):
    """Orthographic axes in the world (3,): to the right of the picture, up in it, and away from the eye."""

    right: NDArray[np.float64]
    up: NDArray[np.float64]
    away: NDArray[np.float64]


def camera(azimuth: float, elevation: float) -> Camera:
    """Angles in degrees; azimuth 0 looks at the front (from -y), elevation 90 from above (z up)."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    right = np.array([np.cos(a), np.sin(a), 0])
    away = np.array([-np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), -np.sin(e)])
    return Camera(right, np.cross(right, away), away)


def splat(
    points: ArrayLike,
    colors: ArrayLike,
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
    points, colors = np.asarray(points, dtype=np.float64), np.asarray(colors, dtype=np.float64)
    if radius is None:
        radius = size / 256 * 3.4 * (1024 / max(len(points), 64)) ** 0.4
    winner, depth = nearest_discs(points, camera(azimuth, elevation), size, radius, span)
    light = 1.0 - 0.35 * np.clip(depth + 0.5, 0, 1.2)
    paint = (np.clip(colors * light[:, None], 0, 1) * 255).astype(np.uint8)
    return np.concatenate([paint, np.full((1, 3), 255, dtype=np.uint8)])[winner]


def nearest_discs(
    points: NDArray[np.float64], view: Camera, size: int, radius: float, span: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which point's disc each pixel shows: (size, size) indices, -1 where none; and each point's depth (n,).

    `radius` is in pixels, `span` the world side of the square that the picture shows.
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


def views(shape: PointCloud | Mesh, n: int = 8, size: int = 256, *, columns: int = 4, elevation: float = 20.0) -> Image:
    """A grid of `n` views around the vertical axis, (rows * size, columns * size, 3) uint8 on white.

    One scale for all the views, the widest filling its square of `size` pixels. A cloud's points are discs
    large enough to close its surface; a mesh is shaded by a light at the eye. Depth steps have a soft dark rim.
    """
    if n < 1 or size < 8 or columns < 1:
        raise InputError(f"views: expected n >= 1, size >= 8, columns >= 1, found {n}, {size}, {columns}")
    cameras = [camera(30 + 360 * i / n, elevation) for i in range(n)]
    points = (shape.points if isinstance(shape, PointCloud) else shape.vertices).astype(np.float64)
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    reach = max(float(np.abs(points @ axis).max()) for view in cameras for axis in (view.right, view.up))
    span = 2 * MARGIN * max(reach, 1e-6)
    columns = min(columns, n)
    sheet = np.full((-(-n // columns) * size, columns * size, 3), 255, dtype=np.uint8)
    for i, view in enumerate(cameras):
        top, left = i // columns * size, i % columns * size
        large = size * OVERSAMPLING
        if isinstance(shape, PointCloud):
            color, depth = _draw_cloud(points, shape.colors, view, large, span)
        else:
            color, depth = _draw_mesh(points, shape, view, large, span)
        sheet[top : top + size, left : left + size] = _finish(color, depth, span, size)
    return sheet


def _draw_cloud(
    points: NDArray[np.float64], colors: NDArray[np.float32], view: Camera, size: int, span: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Colour (size, size, 3) and depth (size, size), infinite where there is nothing."""
    radius = size / 256 * 3.8 * (1024 / max(len(points), 64)) ** 0.42
    winner, depth = nearest_discs(points, view, size, max(radius, 1.0), span)
    return np.append(colors, np.ones((1, 3), np.float32), axis=0)[winner], np.append(depth, np.inf)[winner]


def _draw_mesh(
    vertices: NDArray[np.float64], mesh: Mesh, view: Camera, size: int, span: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """As _draw_cloud, shaded by how squarely a face meets the eye."""
    scale = size / span
    screen = np.stack([vertices @ view.right * scale, -(vertices @ view.up) * scale, vertices @ view.away], axis=1)
    screen[:, :2] += size / 2
    face, weights, depth = rasterize(screen, mesh.faces, size, cull=mesh.is_watertight)
    hit = face >= 0
    corners = mesh.faces[face[hit]]
    mix = weights[hit][:, :, None]
    color = np.ones((size, size, 3), dtype=np.float32)
    base = np.float32(BARE) if mesh.colors is None else (mesh.colors[corners] * mix).sum(axis=1)
    normals = (mesh.normals[corners] * mix).sum(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    light = view.up * 0.45 - view.away * 0.85 - view.right * 0.28
    facing = np.abs(normals @ (light / np.linalg.norm(light)))
    color[hit] = base * (0.6 + 0.4 * facing)[:, None]
    return color, depth


def _finish(color: NDArray[np.float32], depth: NDArray[np.float64], span: float, size: int) -> Image:
    """Darken what lies just behind a nearer thing (eye-dome lighting), average down to `size`."""
    reach = max(1, len(depth) // 200)
    padded = np.pad(depth, reach, constant_values=np.inf)
    hollow = np.zeros_like(depth)
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        beside = padded[
            reach * (1 + dy) : reach * (1 + dy) + len(depth), reach * (1 + dx) : reach * (1 + dx) + len(depth)
        ]
        with np.errstate(invalid="ignore"):
            step = (depth - beside) / span
        # Steps below a point's own roughness are no edge; a background pixel has no depth to step from.
        hollow += np.where(np.isfinite(step), np.clip(step - 0.015, 0, 0.1), 0)
    dark = color * np.exp(-3.0 * hollow)[:, :, None]
    dark[~np.isfinite(depth)] = 1
    small = dark.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean(axis=(1, 3))
    return np.round(small * 255).astype(np.uint8)
