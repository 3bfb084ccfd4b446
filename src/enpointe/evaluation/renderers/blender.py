"""Blender, from the very places where the own renderer has its cameras."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from enpointe.evaluation.renderers import RENDERERS, Images, ShapeRenderer
from enpointe.geometry.checks import Floats
from enpointe.geometry.colors import to_linear, to_srgb
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.model import Material, Model
from enpointe.render.blender.process import BlenderLimits
from enpointe.render.blender.renderer import BlenderRenderer
from enpointe.render.camera import Camera
from enpointe.render.renderer import View
from enpointe.render.software.perspective import RenderConfig, standpoint
from enpointe.render.software.shading import BARE, surface

SAMPLES = 16
"""Of each pixel."""
SECONDS_OF_A_VIEW = 30.0
"""What Blender may take for one before it is given up, over all of a shape's views."""
BALLS = 16_384
"""Points of a cloud that Blender draws, at most."""


@RENDERERS.register("blender")
class BlenderImages(ShapeRenderer):
    """Cycles under a sky and a sun, with the cameras of the own renderer; one Blender for as long as this lives.

    A point is a ball of the radius that the own renderer's disc has. Of the config `shading` and `oversampling` mean
    nothing here.
    """

    note = "by Blender under a sky and a sun; a point is a ball"

    def __init__(self, config: RenderConfig, renderer: BlenderRenderer | None = None) -> None:
        """Start Blender; see `BlenderRenderer` for what is raised. A `renderer` given makes lit images."""
        self.config = config
        self._renderer = renderer or BlenderRenderer(
            samples=SAMPLES,
            lit_samples=SAMPLES,  # as many, so that the very same rays decide on what a pixel shows of the ground
            limits=BlenderLimits(seconds=max(BlenderLimits.seconds, SECONDS_OF_A_VIEW * config.views)),
        )
        self.name = self._renderer.name
        self._close = weakref.finalize(self, self._renderer.close)

    def close(self) -> None:
        """Ends Blender."""
        self._close()

    def render_cloud(self, cloud: PointCloud) -> Images:
        """A cloud of more than BALLS points is thinned to as many, at random but always the same ones."""
        points, colors = cloud.points, cloud.colors
        if len(points) > BALLS:
            kept = np.sort(np.random.default_rng(0).choice(len(points), BALLS, replace=False))
            points, colors = points[kept], colors[kept]
        radius = self.config.disc * surface(points.astype(np.float64))[0]
        places, distance = standpoint(points, self.config, radius)
        triangles = places[:, None, None] + radius * _BALL
        paint = np.broadcast_to(colors[:, None, None], triangles.shape)
        return self._render(triangles.reshape(-1, 3, 3), paint.reshape(-1, 3, 3), distance)

    def render_mesh(self, mesh: Mesh) -> Images:
        """Vertex colors run over the faces, a mesh without them is gray. Both sides of a face are seen."""
        places, distance = standpoint(mesh.vertices, self.config)
        paint = np.full((len(places), 3), BARE, np.float32) if mesh.colors is None else mesh.colors
        return self._render(places[mesh.faces], paint[mesh.faces], distance)

    def _render(self, triangles: NDArray[np.float64], paint: Floats, distance: float) -> Images:
        """Triangles (f, 3, 3) around the origin, their corners' sRGB (f, 3, 3), in units of any length."""
        model = Model(
            triangles / distance, np.zeros((len(paint), 3, 2), np.float32), to_linear(paint),
            np.zeros(len(paint), np.int64), (Material(np.ones(3, np.float32)),),
        )  # fmt: skip
        views = self._renderer.render(model, cameras_of(self.config, 1.0))
        return np.stack([_on_ground(view, self.config.background) for view in views])


def cameras_of(config: RenderConfig, distance: float) -> tuple[Camera, ...]:
    """The config's cameras, so far from the origin, facing it."""
    focal = config.size / (2 * float(np.tan(np.deg2rad(config.fov) / 2)))
    cameras = []
    for view in config.cameras:
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = np.stack([view.right, -view.up, view.away], axis=1)
        world_from_camera[:3, 3] = -distance * view.away
        cameras.append(Camera(world_from_camera, focal, config.size))
    return tuple(cameras)


def _on_ground(view: View, background: tuple[float, float, float]) -> NDArray[np.uint8]:
    """The lit image, which is before white, before another ground."""
    assert view.lit is not None
    seen_through = 1 - view.color[..., 3:] / 255
    ground = to_linear(np.array(background, np.float32))
    light = to_linear((view.lit / 255).astype(np.float32)) - seen_through * (1 - ground)
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
