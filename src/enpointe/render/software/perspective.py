"""Images of clouds and meshes for networks: in perspective, on a light ground, and always the same.

NumPy alone draws them, so that a score that depends on them needs neither OpenGL nor Blender, and they are the same
to the byte when they are rendered again on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Floats
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render.camera import Camera
from enpointe.render.software.axes import ViewAxes, view_axes
from enpointe.render.software.rasterize import rasterize
from enpointe.render.software.shading import BARE, RIM, blend, light, shading_normals, surface

Images = NDArray[np.uint8]

MARGIN = 1.1  # around the widest view
WIDEST_DISC = 1 / 16  # of the image: what a radius may reach, where points are few
STEP = 0.05  # behind a nearer part, in the object's radii, from which on a surface is darkened


@dataclass(frozen=True)
class RenderConfig:
    """How a shape is rendered: views evenly around its vertical axis, all of one scale.

    Attributes:
        views: how many.
        size: side of each image in pixels; 224 is what CLIP and EfficientNet-Lite0 read.
        elevation: of the camera above the horizon, degrees, below 90.
        azimuth: of the first camera, degrees; 0 looks at the front (from -y), 90 from +x.
        fov: angle that an image spans, degrees. The camera stands where the widest view just fits.
        background: sRGB in [0, 1].
        disc: a point's radius, in median distances of a point to its sixth neighbor.
        shading: whether a lamp near the eye shades the surface and edges are drawn; else each color as it is.
        oversampling: an image is drawn this many times larger and averaged down.
    """

    views: int = 8
    size: int = 224
    elevation: float = 25.0
    azimuth: float = 30.0
    fov: float = 40.0
    background: tuple[float, float, float] = (0.88, 0.88, 0.88)
    disc: float = 0.8
    shading: bool = True
    oversampling: int = 2

    def __post_init__(self) -> None:
        for name, low, high in (("views", 1, 360), ("size", 8, 2048), ("oversampling", 1, 4)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name}: expected a whole number from {low} to {high}, found {value!r}")
        for name, lowest, highest in (
            ("elevation", -89, 89),
            ("azimuth", -360, 360),
            ("fov", 1, 120),
            ("disc", 0.1, 4),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:  # NaN is not, either
                raise InputError(f"{name}: expected {lowest} to {highest}, found {value!r}")
        if len(self.background) != 3 or not all(0 <= part <= 1 for part in self.background):
            raise InputError(f"background: expected three numbers from 0 to 1, found {self.background!r}")

    @property
    def axes(self) -> tuple[ViewAxes, ...]:
        """The views' axes, in order."""
        return tuple(view_axes(self.azimuth + 360 * i / self.views, self.elevation) for i in range(self.views))

    def cameras(self, distance: float) -> tuple[Camera, ...]:
        """The views' cameras at that distance from the origin, at which they look."""
        focal = self.size / (2 * float(np.tan(np.deg2rad(self.fov) / 2)))
        cameras = []
        for view in self.axes:
            world_from_camera = np.eye(4)
            world_from_camera[:3, :3] = np.stack([view.right, -view.up, view.away], axis=1)
            world_from_camera[:3, 3] = -distance * view.away
            cameras.append(Camera(world_from_camera, focal, self.size))
        return tuple(cameras)


class _Shot(NamedTuple):
    """Places (n, 3) as one camera sees them."""

    screen: NDArray[np.float64]
    """(n, 3): pixels to the right, pixels down, and distance along the view, nearer is less."""
    scale: NDArray[np.float64]
    """(n,) pixels to a unit of length there."""
    towards: NDArray[np.float64]
    """(n, 3) from the eye to the place."""


_Drawing = tuple[Floats, NDArray[np.float64]]
"""Color (size, size, 3), and distance (size, size), infinite where there is nothing."""


def render_cloud(cloud: PointCloud, config: RenderConfig | None = None) -> Images:
    """Images of a cloud, z up, in whatever frame: (views, size, size, 3) uint8.

    A point is a disc that faces the eye, of a radius that closes the surface whatever the number of points, smaller
    the farther it is, shaded by the plane through the sixteen points around it.
    """
    config = config or RenderConfig()
    points, radius = _centered(cloud.points)
    spacing, normals = surface(points)

    disc = config.disc * spacing

    def draw(shot: _Shot, view: ViewAxes, size: int) -> _Drawing:
        winner = _nearest_discs(shot, disc, size)
        paint = cloud.colors
        if config.shading:
            paint = paint * light(_turned(normals, shot.towards), view)[:, None]
        background = np.array([config.background], np.float32)
        return np.append(paint, background, axis=0)[winner], np.append(shot.screen[:, 2], np.inf)[winner]

    return _render(points, radius, disc, config, draw)


def render_mesh(mesh: Mesh, config: RenderConfig | None = None) -> Images:
    """Images of a mesh, z up, in whatever frame: (views, size, size, 3) uint8.

    Vertex colors run over the faces, a mesh without them is gray. Both sides of a face are seen.
    """
    config = config or RenderConfig()
    points, radius = _centered(mesh.vertices)
    facing, at_corners = shading_normals(mesh)
    closed = mesh.is_watertight and mesh.volume > 0  # only then are faces turned away hidden anyway

    def draw(shot: _Shot, view: ViewAxes, size: int) -> _Drawing:
        # Distance itself is not linear in a perspective image, its inverse is.
        inverse = np.column_stack([shot.screen[:, :2], -1 / shot.screen[:, 2]])
        face, weights, depth = rasterize(inverse, mesh.faces, size, cull=closed)
        hit = face >= 0
        shown = face[hit]
        corners = mesh.faces[shown]
        mix = (weights[hit] / shot.screen[corners, 2]).astype(np.float32)
        mix /= mix.sum(axis=1, keepdims=True)
        paint = np.full((len(mix), 3), BARE, np.float32) if mesh.colors is None else blend(mesh.colors[corners], mix)
        if config.shading:
            turned = np.einsum("nc,nc->n", facing[shown], shot.towards[corners[:, 0]]) > 0
            normals = blend(at_corners[shown], mix) * np.where(turned, np.float32(-1), np.float32(1))[:, None]
            paint = paint * light(normals, view)[:, None]
        color = np.empty((size, size, 3), np.float32)
        color[:] = config.background
        color[hit] = np.clip(paint, 0, 1)
        return color, np.where(hit, -1 / np.where(hit, depth, -1), np.inf)

    return _render(points, radius, 0, config, draw)


def standpoint(points: Floats, config: RenderConfig, disc: float = 0) -> tuple[NDArray[np.float64], float]:
    """Places (n, 3) around the middle of their box, and how far from there the cameras stand that see them.

    For another renderer to make images from the same places; `disc` is the radius that is drawn of a place, in units of
    length.
    """
    places, radius = _centered(points)
    return places, _distance(places, disc, config.axes, config.fov, radius)


def _centered(points: Floats) -> tuple[NDArray[np.float64], float]:
    """Points (n, 3) around the middle of their box, and how far from it the farthest is."""
    places = points.astype(np.float64)
    places -= (places.min(axis=0) + places.max(axis=0)) / 2
    return places, max(float(np.linalg.norm(places, axis=1).max()), 1e-6)


def _render(
    points: NDArray[np.float64],
    radius: float,
    disc: float,
    config: RenderConfig,
    draw: Callable[[_Shot, ViewAxes, int], _Drawing],
) -> Images:
    """`radius` of the whole and of the `disc` that is drawn for a point, in units of length."""
    axes = config.axes
    distance = _distance(points, disc, axes, config.fov, radius)
    large = config.size * config.oversampling
    images = np.empty((config.views, config.size, config.size, 3), np.uint8)
    for image, view in zip(images, axes, strict=True):
        color, depth = draw(_shot(points, view, distance, config.fov, large), view, large)
        small = _blocks(color, config.oversampling, np.add) / np.float32(config.oversampling**2)
        if config.shading:
            near = (_blocks(depth, config.oversampling, np.minimum) / radius).astype(np.float32)
            small *= _edges(near)[:, :, None]
        image[:] = small * 255 + 0.5
    return images


def _distance(points: NDArray[np.float64], disc: float, axes: tuple[ViewAxes, ...], fov: float, radius: float) -> float:
    """How far from the middle a camera must stand for every view to hold every point's disc, with a margin.

    A point that lies `across` beside the axis and `away` behind the middle is inside from the distance d on where
    across = (d + away) tan(fov / 2).
    """
    slope = np.tan(np.deg2rad(fov) / 2) / MARGIN
    needed = 1.05 * radius  # the eye stays outside
    for view in axes:
        across = np.maximum(np.abs(points @ view.right), np.abs(points @ view.up))
        needed = max(needed, float(((across + disc) / slope - points @ view.away).max()))
    return needed


def _shot(points: NDArray[np.float64], view: ViewAxes, distance: float, fov: float, size: int) -> _Shot:
    away = distance + points @ view.away
    scale = size / 2 / np.tan(np.deg2rad(fov) / 2) / away
    right, down = size / 2 + points @ view.right * scale, size / 2 - points @ view.up * scale
    return _Shot(np.stack([right, down, away], axis=1), scale, points + distance * view.away)


def _nearest_discs(shot: _Shot, radius: float, size: int) -> NDArray[np.int64]:
    """Which point's disc each pixel shows: (size, size) indices, -1 where none. `radius` in units of length."""
    far_to_near = np.argsort(-shot.screen[:, 2], kind="stable")
    # At least a pixel wide and high, so that no point is lost.
    pixels = np.clip(radius * shot.scale[far_to_near], 0.75, size * WIDEST_DISC)
    reach = int(np.ceil(pixels.max()))
    width = size + 2 * reach
    column, row = np.floor(shot.screen[far_to_near, :2]).astype(np.int64).T.clip(0, size - 1)
    steps = np.arange(-reach, reach + 1)
    squared = (steps[:, None] ** 2 + steps**2).ravel()
    outwards = np.argsort(squared, kind="stable")  # a disc is the first so many of these steps from its middle
    step = (steps[:, None] * width + steps).ravel()[outwards]
    covered = np.searchsorted(squared[outwards], pixels**2, side="right")
    point = np.repeat(np.arange(len(covered)), covered)
    place = np.arange(len(point)) - np.repeat(np.cumsum(covered) - covered, covered)
    middle = (row + reach) * width + column + reach
    rank_at = np.full(width * width, -1, np.int64)
    np.maximum.at(rank_at, middle[point] + step[place], point)
    shown = rank_at.reshape(width, width)[reach : reach + size, reach : reach + size]
    return np.append(far_to_near, -1)[shown]


def _turned(normals: Floats, towards: NDArray[np.float64]) -> Floats:
    """Normals (n, 3) of unknown sign, turned to the eye."""
    turned: Floats = np.where(np.einsum("nc,nc->n", normals, towards)[:, None] > 0, -normals, normals)
    return turned


def _blocks(values: NDArray[Any], side: int, join: np.ufunc) -> NDArray[Any]:
    """Blocks of side x side pixels of (size, size, ...) joined into one pixel each."""
    joined = values[::side, ::side].copy()
    for y in range(side):
        for x in range(side):
            if (y, x) != (0, 0):
                join(joined, values[y::side, x::side], out=joined)
    return joined


def _edges(depth: Floats) -> Floats:
    """Brightness (size, size): less where something much nearer is beside (eye-dome lighting), 1 for the background.

    depth: in the object's radii, infinite for the background.
    """
    empty = ~np.isfinite(depth)
    far = np.where(empty, np.float32(1e3), depth)
    padded = np.pad(far, 1, constant_values=1e3)
    side = len(far)
    hollow = np.zeros_like(far)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                hollow += np.clip(far - padded[y : y + side, x : x + side] - np.float32(STEP), 0, 0.2)
    dark: Floats = np.exp(hollow * np.float32(-RIM / 2))
    dark[empty] = 1
    return dark
