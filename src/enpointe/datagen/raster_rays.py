"""Pictures by casting rays with Embree, where there is no OpenGL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from enpointe.datagen.asset_model import SOLID, Model, sample_colors, solid_points
from enpointe.datagen.cameras import Camera
from enpointe.datagen.views import View
from enpointe.errors import InputError

_SAMPLES = np.array([[-1, -3], [3, -1], [-3, 1], [1, 3]]) / 8
"""Where in a pixel its coverage is asked, from its centre; the places that OpenGL implementations share."""
_LAYERS = 16
"""Most cut-away surfaces (of leaves) that a ray passes."""
_PAST = 1e-4
"""How far beyond such a surface it goes on."""


@dataclass(frozen=True)
class _Hits:
    """What n rays met first: face (n,), -1 where nothing; barycentric weights (n, 3); depth (n,), inf."""

    face: NDArray[np.int64]
    weights: NDArray[np.float64]
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class _Scene:
    """A model made ready; `cut` says whether textures cut away any of it."""

    model: Model
    tree: Any
    cut: bool
    box: NDArray[np.float64]


class RayRasterizer:
    """Casts a ray through each pixel's centre, and four more where the object's outline may be."""

    def __init__(self) -> None:
        self.name = f"rays, embreex {version('embreex')}"
        self.likes_few_faces = False

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `RasterRenderer.render`."""
        if len(model.triangles) == 0:
            raise InputError("expected a model with triangles, found none")
        tree = EmbreeScene()
        TriangleMesh(tree, np.ascontiguousarray(model.triangles, np.float32))
        textures = [worn.texture for worn in model.materials if worn.texture is not None]
        scene = _Scene(model, tree, any((texture[..., 3] < SOLID).any() for texture in textures), model.box())
        return [_view(scene, camera) for camera in cameras]

    def close(self) -> None:
        """Nothing is held between models."""


def _view(scene: _Scene, camera: Camera) -> View:
    rows, columns = window = camera.window(scene.box)
    shape = rows.stop - rows.start, columns.stop - columns.start
    row, column = np.indices(shape).reshape(2, -1)
    centres = np.stack([column + columns.start, row + rows.start], axis=1) + 0.5
    hits = _cast(scene, camera, centres)
    inside = hits.face >= 0
    covered = np.where(inside, len(_SAMPLES), 0)
    outline = np.flatnonzero(_outline(inside.reshape(shape)))
    covered[outline] = 0
    for offset in _SAMPLES:
        found = _cast(scene, camera, centres[outline] + offset)
        covered[outline] += found.face >= 0
        lacks = (hits.face[outline] < 0) & (found.face >= 0)
        hits.face[outline[lacks]], hits.weights[outline[lacks]] = found.face[lacks], found.weights[lacks]
    # A centre may be met where no sample is: at the tip of a corner.
    inside &= covered > 0
    there = np.flatnonzero(covered)
    color = np.zeros((len(covered), 4), np.uint8)
    rgb, _ = sample_colors(scene.model, hits.face[there], hits.weights[there], interpolate=True)
    color[there, :3] = np.rint(rgb * 255)
    color[:, 3] = np.rint(covered * 255 / len(_SAMPLES))
    depth = np.where(inside, hits.depth, np.float32(np.inf))
    material = np.where(inside, scene.model.material[hits.face], -1).astype(np.int16)
    return View.of_window(camera, window, color.reshape(*shape, 4), depth.reshape(shape), material.reshape(shape))


def _outline(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose 3 x 3 neighbours are neither all inside nor all outside; beyond the border is outside."""
    count = np.pad(inside, 1).astype(np.uint8)
    count = count[:-2] + count[1:-1] + count[2:]
    count = count[:, :-2] + count[:, 1:-1] + count[:, 2:]
    return (count > 0) & (count < 9)


def _cast(scene: _Scene, camera: Camera, pixels: NDArray[np.float64]) -> _Hits:
    """The first surface, not cut away by its texture, on the rays through pixel coordinates (n, 2)."""
    n = len(pixels)
    hits = _Hits(np.full(n, -1), np.zeros((n, 3)), np.full(n, np.inf, np.float32))
    directions = camera.rays(pixels).astype(np.float32)
    start = np.zeros(n, np.float32)
    going = np.arange(n)
    for _ in range(_LAYERS if scene.cut else 1):
        if len(going) == 0:
            break
        origins = camera.position.astype(np.float32) + start[going, None] * directions[going]
        out = scene.tree.run(origins, directions[going], output=True)
        met = np.flatnonzero(out["primID"] >= 0)
        going, face = going[met], out["primID"][met].astype(np.int64)
        u, v = out["u"][met].astype(np.float64), out["v"][met].astype(np.float64)
        weights = np.stack([1 - u - v, u, v], axis=1)
        depth = start[going] + out["tfar"][met]
        solid = solid_points(scene.model, face, weights, interpolate=True) if scene.cut else np.ones(len(face), bool)
        here = going[solid]
        hits.face[here], hits.weights[here], hits.depth[here] = face[solid], weights[solid], depth[solid]
        start[going] = depth + _PAST
        going = going[~solid]
    return hits
