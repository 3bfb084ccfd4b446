"""Pictures of clouds and meshes without a plotting library."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Floats
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.rasterize import rasterize

Image = NDArray[np.uint8]

Painter = Callable[["Camera", int], tuple[Floats, NDArray[np.float64]]]
"""From a camera and a size in pixels to colour (size, size, 3) and depth (size, size), infinite where empty."""

MARGIN = 1.1  # around the widest view
OVERSAMPLING = 2  # a picture is drawn this much larger and averaged down, for smooth edges
BARE = 0.72  # grey of a mesh without colours
DISC = 0.8  # a point's radius in distances to its sixth neighbour: closes a surface without swelling it
CREASE = 0.9  # cosine between a face and the mean around its corner below which the corner is sharp
SHADE = 0.68  # brightness of a surface turned away from the lamp
STEP = 0.015  # step in depth, in widths of the picture, from which on an edge is drawn
RIM = 3.0  # how dark it is


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
    large enough to close its surface. Both are shaded softly by a light near the eye, hues unchanged, and what
    lies just behind a nearer part is darker there.
    """
    if n < 1 or size < 8 or columns < 1:
        raise InputError(f"views: expected n >= 1, size >= 8, columns >= 1, found {n}, {size}, {columns}")
    cameras = [camera(30 + 360 * i / n, elevation) for i in range(n)]
    points = (shape.points if isinstance(shape, PointCloud) else shape.vertices).astype(np.float64)
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    reach = max(float(np.abs(points @ axis).max()) for view in cameras for axis in (view.right, view.up))
    span = 2 * MARGIN * max(reach, 1e-6)
    draw = (
        cloud_painter(points, shape.colors, span)
        if isinstance(shape, PointCloud)
        else mesh_painter(points, shape, span)
    )
    columns = min(columns, n)
    sheet = np.full((-(-n // columns) * size, columns * size, 3), 255, dtype=np.uint8)
    for i, view in enumerate(cameras):
        top, left = i // columns * size, i % columns * size
        color, depth = draw(view, size * OVERSAMPLING)
        sheet[top : top + size, left : left + size] = _finish(color, (depth / span).astype(np.float32), size)
    return sheet


def cloud_painter(points: NDArray[np.float64], colors: Floats, span: float) -> Painter:
    """Draws points as discs, shaded by the plane through the points around each."""
    spacing, normals = surface(points)

    def draw(view: Camera, size: int) -> tuple[Floats, NDArray[np.float64]]:
        radius = float(np.clip(DISC * spacing / span * size, 1.0, size / 16))
        winner, depth = nearest_discs(points, view, size, radius, span)
        sides = np.where(normals @ view.away > 0, np.float32(-1), np.float32(1))
        paint = colors * light(normals * sides[:, None], view)[:, None]
        return np.append(paint, np.ones((1, 3), np.float32), axis=0)[winner], np.append(depth, np.inf)[winner]

    return draw


def mesh_painter(vertices: NDArray[np.float64], mesh: Mesh, span: float) -> Painter:
    """Draws triangles, smooth where neighbouring faces nearly agree and with a crease where they do not."""
    facing, at_corners = shading_normals(mesh)
    closed = mesh.is_watertight and mesh.volume > 0  # only then are faces turned away hidden anyway

    def draw(view: Camera, size: int) -> tuple[Floats, NDArray[np.float64]]:
        scale = size / span
        across, down = vertices @ view.right * scale + size / 2, size / 2 - vertices @ view.up * scale
        screen = np.stack([across, down, vertices @ view.away], axis=1)
        face, weights, depth = rasterize(screen, mesh.faces, size, cull=closed)
        hit = face >= 0
        shown, mix = face[hit], weights[hit]
        sides = np.where(facing[shown] @ view.away > 0, np.float32(-1), np.float32(1))
        normals = blend(at_corners[shown], mix) * sides[:, None]
        base = np.full((len(mix), 3), BARE, np.float32)
        if mesh.colors is not None:
            base = blend(mesh.colors[mesh.faces[shown]], mix)
        color = np.ones((size, size, 3), dtype=np.float32)
        color[hit] = np.clip(base * light(normals, view)[:, None], 0, 1)
        return color, depth

    return draw


def shading_normals(mesh: Mesh) -> tuple[Floats, Floats]:
    """Unit normals of the faces (f, 3), and of their corners (f, 3, 3): smooth, or at a crease the face's own."""
    facing = mesh.face_normals
    facing = (facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-30)).astype(np.float32)
    smooth = mesh.normals[mesh.faces]
    agree = (smooth * facing[:, None]).sum(axis=2, keepdims=True) > CREASE
    return facing, np.where(agree, smooth, facing[:, None])


def blend(corners: Floats, weights: Floats) -> Floats:
    """(n, 3 corners, c) weighted (n, 3) -> (n, c)."""
    # Written out, for a numpy sum over an axis of three is slow.
    a, b, c = (corners[:, i] * weights[:, i, None] for i in range(3))
    blended: Floats = a + b + c
    return blended


def surface(points: NDArray[np.float64]) -> tuple[float, Floats]:
    """The usual distance to the sixth neighbour, and normals (n, 3) of unknown sign from the plane of sixteen."""
    from scipy.spatial import cKDTree

    if len(points) < 17:
        extent = float(np.ptp(points, axis=0).max()) or 1.0
        return extent / 16, np.zeros((len(points), 3), np.float32)
    distances, around = cKDTree(points).query(points, k=16)
    near = points[around]
    near = near - near.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(near.transpose(0, 2, 1) @ near)
    return float(np.median(distances[:, 6])), axes[:, :, 0].astype(np.float32)


def light(normals: Floats, view: Camera) -> Floats:
    """Brightness (n,) from SHADE to 1 for normals turned to the eye, under a lamp above it to its left."""
    lamp = (view.up * 0.5 - view.away * 0.8 - view.right * 0.33).astype(np.float32)
    length = np.sqrt(np.einsum("nc,nc->n", normals, normals))
    facing = np.where(length > 0, (normals @ lamp) / np.maximum(length, 1e-9), 1.0)
    return (SHADE + (1 - SHADE) * np.clip(facing * 1.15, 0, 1)).astype(np.float32)


def _finish(color: Floats, depth: Floats, size: int) -> Image:
    """Darken what lies just behind a nearer thing (eye-dome lighting), average down to `size`.

    depth: in widths of the picture, infinite for the background.
    """
    empty = ~np.isfinite(depth)
    reach = max(1, len(depth) // 200)
    far = np.where(empty, np.float32(1e3), depth)  # finite, and behind everything
    padded = np.pad(far, reach, constant_values=1e3)
    hollow = np.zeros_like(far)
    for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        top, left = reach * (1 + y), reach * (1 + x)
        beside = padded[top : top + len(far), left : left + len(far)]
        hollow += np.clip(far - beside - STEP, 0, 0.1)  # smaller steps are the surface's own slope
    dark = color * np.exp(-RIM * hollow)[:, :, None]
    dark[empty] = 1
    # One strided slice for each place in a block: many times faster than a mean over two axes.
    blocks = [dark[y::OVERSAMPLING, x::OVERSAMPLING] for y in range(OVERSAMPLING) for x in range(OVERSAMPLING)]
    small: Floats = sum(blocks[1:], start=blocks[0]) * (255 / len(blocks)) + 0.5
    return small.astype(np.uint8)
