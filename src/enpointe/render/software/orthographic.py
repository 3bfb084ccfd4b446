"""Shapes from all sides without perspective, shaded: what people look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Floats
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.contact_sheet import Image, contact_sheet
from enpointe.render.software.axes import ViewAxes, view_axes
from enpointe.render.software.rasterize import rasterize
from enpointe.render.software.shading import BARE, DISC, RIM, blend, light, shading_normals, surface
from enpointe.render.software.splats import nearest_discs

Painter = Callable[[ViewAxes, int], tuple[Floats, NDArray[np.float64]]]
"""From axes and a size in pixels to color (size, size, 3) and depth (size, size), infinite where empty."""

MARGIN = 1.1  # around the widest view
OVERSAMPLING = 2  # an image is drawn this much larger and averaged down, for smooth edges
STEP = 0.015  # step in depth, in widths of the image, from which on an edge is drawn


def views(shape: PointCloud | Mesh, n: int = 8, size: int = 256, *, columns: int = 4, elevation: float = 20.0) -> Image:
    """A grid of `n` views around the vertical axis, (rows * size, columns * size, 3) uint8 on white.

    One scale for all the views, the widest filling its square of `size` pixels. A cloud's points are discs
    large enough to close its surface. Both are shaded softly by a light near the eye, hues unchanged, and what
    lies just behind a nearer part is darker there.
    """
    if n < 1 or size < 8 or columns < 1:
        raise InputError(f"views: expected n >= 1, size >= 8, columns >= 1, found {n}, {size}, {columns}")
    around = [view_axes(30 + 360 * i / n, elevation) for i in range(n)]
    points = (shape.points if isinstance(shape, PointCloud) else shape.vertices).astype(np.float64)
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    reach = max(float(np.abs(points @ axis).max()) for view in around for axis in (view.right, view.up))
    span = 2 * MARGIN * max(reach, 1e-6)
    draw = (
        cloud_painter(points, shape.colors, span)
        if isinstance(shape, PointCloud)
        else mesh_painter(points, shape, span)
    )
    images = []
    for view in around:
        color, depth = draw(view, size * OVERSAMPLING)
        images.append(_finish(color, (depth / span).astype(np.float32), size))
    return contact_sheet(images, columns=min(columns, n))


def cloud_painter(points: NDArray[np.float64], colors: Floats, span: float) -> Painter:
    """Draws points as discs, shaded by the plane through the points around each."""
    spacing, normals = surface(points)

    def draw(view: ViewAxes, size: int) -> tuple[Floats, NDArray[np.float64]]:
        radius = float(np.clip(DISC * spacing / span * size, 1.0, size / 16))
        winner, depth = nearest_discs(points, view, size, radius, span)
        sides = np.where(normals @ view.away > 0, np.float32(-1), np.float32(1))
        paint = colors * light(normals * sides[:, None], view)[:, None]
        return np.append(paint, np.ones((1, 3), np.float32), axis=0)[winner], np.append(depth, np.inf)[winner]

    return draw


def mesh_painter(vertices: NDArray[np.float64], mesh: Mesh, span: float) -> Painter:
    """Draws triangles, smooth where neighboring faces nearly agree and with a crease where they do not."""
    facing, at_corners = shading_normals(mesh)
    closed = mesh.is_watertight and mesh.volume > 0  # only then are faces turned away hidden anyway

    def draw(view: ViewAxes, size: int) -> tuple[Floats, NDArray[np.float64]]:
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


def _finish(color: Floats, depth: Floats, size: int) -> Image:
    """Darken what lies just behind a nearer thing (eye-dome lighting), average down to `size`.

    depth: in widths of the image, infinite for the background.
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
