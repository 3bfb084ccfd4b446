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
from scipy.ndimage import maximum_filter, minimum_filter

from enpointe.datagen.asset_model import Model, sample_colors, solid_points
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


class RayRasterizer:
    """Casts a ray through each pixel's centre, and four more where the object's outline may be."""

    def __init__(self) -> None:
        self.name = f"rays, embreex {version('embreex')}"

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `RasterRenderer.render`."""
        if len(model.triangles) == 0:
            raise InputError("expected a model with triangles, found none")
        scene = EmbreeScene()
        TriangleMesh(scene, np.ascontiguousarray(model.triangles, np.float32))
        return [_view(scene, model, camera) for camera in cameras]

    def close(self) -> None:
        """Nothing is held between models."""


def _view(scene: Any, model: Model, camera: Camera) -> View:
    size = camera.size
    row, column = np.indices((size, size)).reshape(2, -1)
    centres = np.stack([column, row], axis=1) + 0.5
    hits = _cast(scene, model, camera, centres)
    covered = np.where(hits.face >= 0, len(_SAMPLES), 0)
    inside = (hits.face >= 0).reshape(size, size)
    outline = np.flatnonzero(maximum_filter(inside, 3) != minimum_filter(inside, 3))
    covered[outline] = 0
    for offset in _SAMPLES:
        found = _cast(scene, model, camera, centres[outline] + offset)
        covered[outline] += found.face >= 0
        lacks = (hits.face[outline] < 0) & (found.face >= 0)
        for whole, part in zip(vars(hits).values(), vars(found).values(), strict=True):
            whole[outline[lacks]] = part[lacks]
    # A centre may be met where no sample is: at the tip of a corner.
    there = np.flatnonzero(covered)
    color = np.zeros((size * size, 4), np.uint8)
    rgb, _ = sample_colors(model, hits.face[there], hits.weights[there], interpolate=True)
    color[there, :3] = np.rint(rgb * 255)
    color[:, 3] = np.rint(covered * 255 / len(_SAMPLES))
    depth = np.where(covered > 0, hits.depth, np.float32(np.inf))
    material = np.full(size * size, -1, np.int16)
    material[there] = model.material[hits.face[there]]
    return View(camera, color.reshape(size, size, 4), depth.reshape(size, size), material.reshape(size, size))


def _cast(scene: Any, model: Model, camera: Camera, pixels: NDArray[np.float64]) -> _Hits:
    """The first surface, not cut away by its texture, on the rays through pixel coordinates (n, 2)."""
    n = len(pixels)
    hits = _Hits(np.full(n, -1), np.zeros((n, 3)), np.full(n, np.inf, np.float32))
    directions = camera.rays(pixels).astype(np.float32)
    start = np.zeros(n, np.float32)
    going = np.arange(n)
    for _ in range(_LAYERS):
        if len(going) == 0:
            break
        origins = camera.position.astype(np.float32) + start[going, None] * directions[going]
        out = scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions[going]), output=True)
        met = out["primID"] >= 0
        going, face = going[met], out["primID"][met].astype(np.int64)
        u, v = out["u"][met].astype(np.float64), out["v"][met].astype(np.float64)
        weights = np.stack([1 - u - v, u, v], axis=1)
        depth = start[going] + out["tfar"][met]
        solid = solid_points(model, face, weights, interpolate=True)
        here = going[solid]
        hits.face[here], hits.weights[here], hits.depth[here] = face[solid], weights[solid], depth[solid]
        start[going] = depth + _PAST
        going = going[~solid]
    return hits
