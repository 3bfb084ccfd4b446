"""Clouds and meshes as objects of the library trimesh, and back. Its axes are nobody's in particular: they stay."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.geometry.colors import to_linear
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.assets.builder import GRAY, ModelBuilder
from enpointe.io.assets.limits import OWN_LIMITS
from enpointe.io.assets.model import Material
from enpointe.io.assets.vertices import to_mesh


def cloud_to_trimesh(cloud: PointCloud) -> Any:
    """See `PointCloud.to_trimesh`."""
    return _trimesh().PointCloud(cloud.points, colors=_bytes(cloud.colors))


def cloud_from_trimesh(other: Any) -> PointCloud:
    """See `PointCloud.from_trimesh`."""
    if not isinstance(other, _trimesh().PointCloud):
        raise InputError(f"expected a trimesh.PointCloud, found {type(other).__name__}")
    points = np.asarray(other.vertices)
    colors = np.asarray(other.colors)
    if len(colors) != len(points):
        warnings.warn("the cloud has no colors, so its points are gray", LostDataWarning, stacklevel=3)
        return PointCloud(points, np.full(points.shape, GRAY, np.float32))
    return PointCloud(points, (colors[:, :3] / 255).astype(np.float32))


def mesh_to_trimesh(mesh: Mesh) -> Any:
    """See `Mesh.to_trimesh`."""
    colors = None if mesh.colors is None else _bytes(mesh.colors)
    return _trimesh().Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)


def mesh_from_trimesh(other: Any) -> Mesh:
    """See `Mesh.from_trimesh`."""
    trimesh = _trimesh()
    parts = [other]
    if isinstance(other, trimesh.Scene):  # its points and lines are left out
        parts = [part for part in other.dump() if isinstance(part, trimesh.Trimesh)]
    builder = ModelBuilder(OWN_LIMITS)
    gray = builder.add_material(Material(np.array(GRAY, np.float32)), colored=False)
    white = builder.add_material(Material(np.ones(3, np.float32)))
    for part in parts:
        if not isinstance(part, trimesh.Trimesh):
            raise InputError(f"expected a trimesh.Trimesh, or a Scene of them, found {type(part).__name__}")
        faces = np.asarray(part.faces, np.int64)
        shade = _shade(part, faces)
        builder.add(np.asarray(part.vertices)[faces], gray if shade is None else white, shade=shade, vertex=faces)
    return to_mesh(builder.build(), builder.vertices(), colored=builder.has_colors)


def _shade(part: Any, faces: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """(f, 3, 3) linear colors of a Trimesh's corners, if it has any."""
    match part.visual.kind:
        case None:
            return None
        case "face":
            colors = np.repeat(np.asarray(part.visual.face_colors)[:, None, :3], 3, axis=1)
        case "vertex":
            colors = np.asarray(part.visual.vertex_colors)[faces, :3]
        case _:
            colors = np.asarray(part.visual.to_color().vertex_colors)[faces, :3]
    return to_linear((colors / 255).astype(np.float32))


def _bytes(colors: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(colors * 255).astype(np.uint8)


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise InputError('expected the package trimesh (pip install "enpointe[trimesh]"), found none') from error
    return trimesh
