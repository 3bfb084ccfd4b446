"""Views by casting rays with Embree, where there is no OpenGL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import DeviceError, InputError
from enpointe.io.assets.model import SOLID, Model, sample_colors, solid_points
from enpointe.render.camera import Camera
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.view import View

_SAMPLES = np.array([[-1, -3], [3, -1], [-3, 1], [1, 3]]) / 8
"""Where in a pixel its coverage is sampled, from its center; the places that OpenGL implementations share."""
_LAYERS = 16
"""Most cut-away surfaces (of leaves) that a ray passes."""
_PAST = 1e-4
"""How far beyond such a surface it goes on."""


@dataclass(frozen=True)
class _Hits:
    """What n rays met first: face (n,), -1 where nothing; where on it (n,) each; depth (n,), inf where nothing."""

    face: NDArray[np.int32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    depth: NDArray[np.float32]

    def weights(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """(k, 3) barycentric, of k of the rays that met something."""
        u, v = self.u[at].astype(np.float64), self.v[at].astype(np.float64)
        return np.stack([1 - u - v, u, v], axis=1)

    def put(self, at: NDArray[np.int64], others: _Hits) -> None:
        """In place of what k of the rays met."""
        for mine, theirs in zip(vars(self).values(), vars(others).values(), strict=True):
            mine[at] = theirs

    def select(self, at: NDArray[np.int64]) -> _Hits:
        """Those of k of the rays."""
        return _Hits(self.face[at], self.u[at], self.v[at], self.depth[at])


@dataclass(frozen=True)
class _Scene:
    """A model made ready; `cut` says whether textures cut away any of it."""

    model: Model
    tree: Any
    cut: bool
    box: NDArray[np.float64]


@RENDERERS.register("rays")
class RayRenderer(Renderer):
    """Casts a ray through each pixel's center, and four more where the object's outline may be."""

    def __init__(self) -> None:
        """Raises DeviceError where there is no embreex."""
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise DeviceError(f"expected embreex (pip install 'enpointe[data]'), found none: {error}") from error
        self._scene, self._mesh = EmbreeScene, TriangleMesh
        self.name = f"rays, embreex {version('embreex')}"

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `Renderer.render`."""
        if len(model.triangles) == 0:
            raise InputError("expected a model with triangles, found none")
        tree = self._scene()
        self._mesh(tree, np.ascontiguousarray(model.triangles, np.float32))
        textures = [one.texture for one in model.materials if one.texture is not None]
        scene = _Scene(model, tree, any((texture[..., 3] < SOLID).any() for texture in textures), model.box())
        return [_view(scene, camera) for camera in cameras]


def _view(scene: _Scene, camera: Camera) -> View:
    rows, columns = window = camera.window(scene.box)
    shape = rows.stop - rows.start, columns.stop - columns.start
    row, column = np.indices(shape).reshape(2, -1)
    centers = np.stack([column + columns.start, row + rows.start], axis=1) + 0.5
    hits = _cast(scene, camera, centers)
    inside = hits.face >= 0
    covered = np.where(inside, len(_SAMPLES), 0)
    outline = np.flatnonzero(_outline(inside.reshape(shape)))
    samples = _cast(scene, camera, (centers[outline] + _SAMPLES[:, None]).reshape(-1, 2))
    found = (samples.face >= 0).reshape(len(_SAMPLES), -1)
    covered[outline] = found.sum(axis=0)
    # Where the center met nothing, the first sample that did has the color.
    lacks = np.flatnonzero(~inside[outline] & found.any(axis=0))
    hits.put(outline[lacks], samples.select(found[:, lacks].argmax(axis=0) * len(outline) + lacks))
    # A center may be met where no sample is: at the tip of a corner.
    inside &= covered > 0
    there = np.flatnonzero(covered)
    color = np.zeros((len(covered), 4), np.uint8)
    rgb = sample_colors(scene.model, hits.face[there], hits.weights(there), interpolate=True)
    color[there, :3] = np.rint(rgb * 255)
    color[:, 3] = np.rint(covered * 255 / len(_SAMPLES))
    depth = np.where(inside, hits.depth, np.float32(np.inf))
    material = np.where(inside, scene.model.material[hits.face], -1).astype(np.int16)
    return View.of_window(camera, window, color.reshape(*shape, 4), depth.reshape(shape), material.reshape(shape))


def _outline(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose 3 x 3 neighbors are neither all inside nor all outside; beyond the border is outside."""
    count = np.pad(inside, 1).astype(np.uint8)
    count = count[:-2] + count[1:-1] + count[2:]
    count = count[:, :-2] + count[:, 1:-1] + count[:, 2:]
    return (count > 0) & (count < 9)


def _cast(scene: _Scene, camera: Camera, pixels: NDArray[np.float64]) -> _Hits:
    """The first surface, not cut away by its texture, on the rays through pixel coordinates (n, 2)."""
    directions = camera.rays(pixels).astype(np.float32)
    origin = camera.position.astype(np.float32)
    hits = _meet(scene, np.broadcast_to(origin, directions.shape), directions)
    if not scene.cut:
        return hits
    going = np.flatnonzero(hits.face >= 0)
    for layer in range(1, _LAYERS + 1):
        going = going[~solid_points(scene.model, hits.face[going], hits.weights(going), interpolate=True)]
        if len(going) == 0:
            break
        if layer == _LAYERS:
            hits.face[going], hits.depth[going] = -1, np.inf
            break
        start = hits.depth[going] + np.float32(_PAST)
        hits.put(going, _meet(scene, origin + start[:, None] * directions[going], directions[going], start))
        going = going[hits.face[going] >= 0]
    return hits


def _meet(
    scene: _Scene,
    origins: NDArray[np.float32],
    directions: NDArray[np.float32],
    start: NDArray[np.float32] | None = None,
) -> _Hits:
    """The first surface on rays (n, 3) that begin at depths `start` (n,)."""
    out = scene.tree.run(origins, directions, output=True)
    depth = out["tfar"] if start is None else start + out["tfar"]
    return _Hits(out["primID"], out["u"], out["v"], np.where(out["primID"] >= 0, depth, np.float32(np.inf)))
