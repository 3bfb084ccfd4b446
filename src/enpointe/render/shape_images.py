"""Images of clouds and meshes by any renderer of models, from where `software.perspective` has its cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enpointe.geometry.checks import Floats
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.model import Material, Model
from enpointe.render.renderers import Renderer
from enpointe.render.software.perspective import Images, RenderConfig, standpoint
from enpointe.render.software.shading import BARE, surface
from enpointe.render.view import View

BALLS = 16_384
"""Points of a cloud that are drawn, at most."""


def shape_images(renderer: Renderer, shape: PointCloud | Mesh, config: RenderConfig) -> Images:
    """See `Renderer.images`. Of the config `shading` and `oversampling` mean nothing here."""
    model = _mesh_model(shape, config) if isinstance(shape, Mesh) else _cloud_model(shape, config)
    views = renderer.render(model, config.cameras(1.0))
    return np.stack([on_ground(view, config.background) for view in views])


def _cloud_model(cloud: PointCloud, config: RenderConfig) -> Model:
    """Points as balls of the radius of `render_cloud`'s discs; more than BALLS are thinned, always to the same ones."""
    points, colors = cloud.points, cloud.colors
    if len(points) > BALLS:
        kept = np.sort(np.random.default_rng(0).choice(len(points), BALLS, replace=False))
        points, colors = points[kept], colors[kept]
    radius = config.disc * surface(points.astype(np.float64))[0]
    places, distance = standpoint(points, config, radius)
    triangles = places[:, None, None] + radius * _BALL
    paint = np.broadcast_to(colors[:, None, None], triangles.shape)
    return _model(triangles.reshape(-1, 3, 3) / distance, paint.reshape(-1, 3, 3))


def _mesh_model(mesh: Mesh, config: RenderConfig) -> Model:
    """Vertex colors run over the faces, a mesh without them is gray."""
    places, distance = standpoint(mesh.vertices, config)
    paint = np.full((len(places), 3), BARE, np.float32) if mesh.colors is None else mesh.colors
    return _model(places[mesh.faces] / distance, paint[mesh.faces])


def _model(triangles: NDArray[np.float64], paint: Floats) -> Model:
    """Triangles (f, 3, 3) as cameras at a distance of 1 from the origin see them, and their corners' sRGB (f, 3, 3)."""
    return Model(
        triangles, np.zeros((len(paint), 3, 2), np.float32), to_linear(paint), np.zeros(len(paint), np.int64),
        (Material(np.ones(3, np.float32)),),
    )  # fmt: skip


def on_ground(view: View, background: tuple[float, float, float]) -> NDArray[np.uint8]:
    """(size, size, 3) sRGB of a view before a ground: what is lit of it, where it is, else its own color."""
    cover = view.color[..., 3:] / 255
    ground = to_linear(np.array(background, np.float32))
    if view.lit is None:
        light = cover * to_linear((view.color[..., :3] / 255).astype(np.float32)) + (1 - cover) * ground
    else:  # before white
        light = to_linear((view.lit / 255).astype(np.float32)) - (1 - cover) * (1 - ground)
    return (to_srgb(light.astype(np.float32)) * 255 + 0.5).astype(np.uint8)


def _ball() -> NDArray[np.float64]:
    """(20, 3, 3) corners of an icosahedron around the origin, counter-clockwise seen from outside.

    Its shadow has, over all directions, the mean area of a ball's of radius 1: a quarter of a surface (Cauchy).
    """
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, y, z * golden] for y in (-1, 1) for z in (-1, 1)])
    corners = np.concatenate([np.roll(corners, turn, axis=1) for turn in range(3)]) / np.sqrt(1 + golden**2)
    near = np.linalg.norm(corners[:, None] - corners, axis=-1) < 1.06  # an edge is 1.0515 long, what is no edge 1.7
    faces = [
        (a, b, c)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    triangles: NDArray[np.float64] = corners[np.array(faces)]
    inward = np.linalg.det(triangles) < 0
    triangles[inward] = triangles[inward, ::-1]
    sides = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return triangles * np.sqrt(8 * np.pi / np.linalg.norm(sides, axis=1).sum())


_BALL = _ball()
