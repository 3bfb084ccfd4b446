"""Files to clouds and meshes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix, read_bytes
from enpointe.core.provenance import KEY
from enpointe.geometry.checks import numeric
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io import glb, npz, ply

CLOUD_SUFFIXES = (".npz", ".ply")
MESH_SUFFIXES = (".glb", ".obj", ".ply")
GREY = 0.7  # of points that came without a colour
RELEASE_COLORS = ("R", "G", "B")


def load_cloud(path: Path) -> PointCloud:
    """See `PointCloud.load`."""
    if known_suffix(path, CLOUD_SUFFIXES) == ".ply":
        content = ply.read(path)
        return _cloud(path, content.points, content.colors, {})
    arrays, _ = npz.read(path)
    if "coords" not in arrays:
        raise InputError(f"{path}: expected an array 'coords', found {', '.join(map(repr, arrays)) or 'no array'}")
    points = arrays.pop("coords")
    missing = [name for name in RELEASE_COLORS if name not in arrays]
    if missing and len(missing) < len(RELEASE_COLORS):
        raise InputError(f"{path}: expected arrays R, G and B or none of them, found no {', '.join(missing)}")
    colors = None if missing else _stack([arrays.pop(name) for name in RELEASE_COLORS], len(points), path)
    # Other arrays of the file, if they are not one value for each point, are none of a cloud's business.
    channels = {name: values for name, values in arrays.items() if values.shape == points.shape[:1]}
    return _cloud(path, points, colors, channels)


def _stack(columns: list[NDArray[Any]], count: int, path: Path) -> NDArray[Any]:
    if any(column.shape != (count,) for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise InputError(f"{path}: expected R, G, B of shape ({count},), found {shapes}")
    return np.stack(columns, axis=1)


def _cloud(path: Path, points: Any, colors: Any, channels: dict[str, Any]) -> PointCloud:
    try:
        return PointCloud(points, np.full(np.shape(points), GREY) if colors is None else colors, channels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load_mesh(path: Path) -> Mesh:
    """See `Mesh.load`."""
    suffix = known_suffix(path, MESH_SUFFIXES)
    if suffix == ".ply":
        content = ply.read(path)
        if content.faces is None or len(content.faces) == 0:
            raise InputError(f"{path}: expected faces, found {len(content.points)} points without any")
        parts = (content.points, content.faces, content.colors)
    else:
        data = read_bytes(path)
        if suffix == ".glb":
            glb.read_tree(data, path)
        parts = _by_trimesh(data, suffix, path)
    try:
        return Mesh(*parts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _by_trimesh(data: bytes, suffix: str, path: Path) -> tuple[Any, Any, Any]:
    """Vertices with z up, faces, colours or None, of all the file's bodies together."""
    import trimesh

    try:
        scene: Any = trimesh.load_scene(io.BytesIO(data), file_type=suffix[1:], process=False, skip_materials=True)
        found: Any = scene.to_mesh()
        vertices, faces = numeric(found.vertices, "vertices"), numeric(found.faces, "faces")
        colors = None
        if found.visual.kind == "vertex":
            colors = np.asarray(found.visual.vertex_colors)[:, :3] / 255
    except Exception as error:  # noqa: BLE001 - the library meets a damaged file with whatever its code runs into
        raise InputError(f"{path}: expected a mesh in {suffix[1:].upper()}, found {error!r:.200}") from None
    if vertices.ndim != 2 or len(faces) == 0:
        raise InputError(f"{path}: expected faces, found none")
    if suffix == ".glb" and colors is not None:
        colors = glb.srgb_from_linear(colors)
    return glb.z_up(vertices), faces, colors


def read_provenance(path: str | Path) -> dict[str, Any] | None:
    """What `export` embedded in a .ply, .npz or .glb: prompt, seed, settings; None where there is nothing."""
    path = Path(path)
    match known_suffix(path, (".glb", ".npz", ".ply")):
        case ".ply":
            return ply.read(path).provenance
        case ".npz":
            return npz.read(path)[1]
        case _:
            asset = glb.read_tree(read_bytes(path), path).get("asset", {})
            extras = asset.get("extras") if isinstance(asset, dict) else None
            found = extras.get(KEY) if isinstance(extras, dict) else None
            return found if isinstance(found, dict) else None
