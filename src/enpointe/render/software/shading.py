"""Surfaces under a lamp near the eye: normals of clouds and meshes, and the brightness that they have there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enpointe.geometry.checks import Floats
from enpointe.geometry.mesh import Mesh
from enpointe.render.software.axes import ViewAxes

BARE = 0.72  # gray of a mesh without colors
DISC = 0.8  # a point's radius in distances to its sixth neighbor: closes a surface without swelling it
CREASE = 0.9  # cosine between a face and the mean around its corner below which the corner is sharp
SHADE = 0.68  # brightness of a surface turned away from the lamp
RIM = 3.0  # how dark an edge is, where one part lies behind another


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
    """The usual distance to the sixth neighbor, and normals (n, 3) of unknown sign from the plane of sixteen."""
    from scipy.spatial import cKDTree

    if len(points) < 17:
        extent = float(np.ptp(points, axis=0).max()) or 1.0
        return extent / 16, np.zeros((len(points), 3), np.float32)
    distances, around = cKDTree(points).query(points, k=16)
    near = points[around]
    near = near - near.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(near.transpose(0, 2, 1) @ near)
    return float(np.median(distances[:, 6])), axes[:, :, 0].astype(np.float32)


def light(normals: Floats, view: ViewAxes) -> Floats:
    """Brightness (n,) from SHADE to 1 for normals turned to the eye, under a lamp above it to its left."""
    lamp = (view.up * 0.5 - view.away * 0.8 - view.right * 0.33).astype(np.float32)
    length = np.sqrt(np.einsum("nc,nc->n", normals, normals))
    facing = np.where(length > 0, (normals @ lamp) / np.maximum(length, 1e-9), 1.0)
    return (SHADE + (1 - SHADE) * np.clip(facing * 1.15, 0, 1)).astype(np.float32)
