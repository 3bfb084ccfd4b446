"""NumPy: slow, needs nothing else, and gives the same to the byte on the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.model import SOLID, Model, sample_colors, solid_points
from enpointe.render.camera import Camera
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.software.perspective import Images, RenderConfig, render_cloud, render_mesh
from enpointe.render.software.rasterize import rasterize
from enpointe.render.view import View

_SIDE = 3
"""Samples of a pixel in a row: odd, so that one of them lies in its center."""
_CENTER = _SIDE**2 // 2

T = TypeVar("T", bound=np.generic)


@RENDERERS.register("software")
class SoftwareRenderer(Renderer):
    """Triangles by `software.rasterize`; images of shapes by `software.perspective`, shaded, with points as discs."""

    name = "software"
    note = "rendered by NumPy, shaded by a lamp near the eye"

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `Renderer.render`. All of the model has to be in front of the cameras."""
        if len(model.triangles) == 0:
            raise InputError("expected a model with triangles, found none")
        return [_view(model, camera) for camera in cameras]

    def images(self, shape: PointCloud | Mesh, config: RenderConfig) -> Images:
        """See `render_cloud` and `render_mesh`."""
        return render_mesh(shape, config) if isinstance(shape, Mesh) else render_cloud(shape, config)


def _view(model: Model, camera: Camera) -> View:
    pixels, depth = camera.project(model.triangles.reshape(-1, 3))
    if depth.min() <= 0:
        raise InputError("expected a model in front of the camera, found a part of it behind")
    # Depth itself is not linear in an image in perspective, its inverse is.
    screen = np.column_stack([pixels * _SIDE, -1 / depth])
    faces = np.arange(len(screen)).reshape(-1, 3)
    depths = depth[faces]

    def in_space(face: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float64]:
        mix = weights / depths[face]
        mixed: NDArray[np.float64] = mix / mix.sum(axis=1, keepdims=True)
        return mixed

    def solid(face: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.bool_]:
        return solid_points(model, face, in_space(face, weights), interpolate=True)

    cut = any((one.texture[..., 3] < SOLID).any() for one in model.materials if one.texture is not None)
    face, weights, inverse = rasterize(screen, faces, camera.size * _SIDE, keep=solid if cut else None)
    face, inverse = _samples(face), _samples(inverse)
    hit = face >= 0
    inside, covered = hit[:, _CENTER], hit.sum(axis=1)
    there = np.flatnonzero(covered)
    # Where the center shows nothing, the first sample that shows something has the color.
    shown = np.where(inside, _CENTER, hit.argmax(axis=1))[there]
    seen = face[there, shown]
    rgb = sample_colors(model, seen, in_space(seen, _samples(weights)[there, shown]), interpolate=True)
    color = np.zeros((len(face), 4), np.uint8)
    color[there, :3] = np.rint(rgb * 255)
    color[:, 3] = np.rint(covered * 255 / _SIDE**2)
    along = np.full(len(face), np.inf, np.float32)
    along[inside] = -1 / inverse[inside, _CENTER]
    material = np.where(inside, model.material[face[:, _CENTER]], -1).astype(np.int16)
    shape = camera.size, camera.size
    return View(camera, color.reshape(*shape, 4), along.reshape(shape), material.reshape(shape))


def _samples(values: NDArray[T]) -> NDArray[T]:
    """(size * _SIDE, size * _SIDE, ...) -> (size * size, _SIDE * _SIDE, ...): the samples of each pixel."""
    size = len(values) // _SIDE
    blocks = values.reshape(size, _SIDE, size, _SIDE, *values.shape[2:]).swapaxes(1, 2)
    return blocks.reshape(size * size, _SIDE**2, *values.shape[2:])
