"""The triangles of a glTF document's scene (y up; textures' v downwards, turned here)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder, take
from enpointe.io.gltf.document import Document
from enpointe.io.gltf.materials import Surfaces

Matrix = NDArray[np.float64]
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


def add_scene(document: Document, builder: ModelBuilder) -> None:
    """Adds the triangles of the document's scene to `builder`.

    Raises:
        InputError: the document is damaged, or its nodes are no trees.
    """
    surfaces = Surfaces(document, builder)
    globals_ = dict(_placed_nodes(document))
    for index, world in globals_.items():
        node = document.item("nodes", index)
        if "mesh" not in node:
            continue
        mesh = document.item("meshes", node["mesh"])
        if not builder.keep(str(node.get("name") or mesh.get("name") or "")):
            continue
        pose = _pose(document, node["skin"], globals_) if "skin" in node else None
        for primitive in mesh["primitives"]:
            _add(document, builder, surfaces, primitive, world, pose)


def _placed_nodes(document: Document) -> Iterator[tuple[int, Matrix]]:
    """The scene's nodes, parents first, each with its matrix world_from_node (4, 4)."""
    tree = document.tree
    if "nodes" not in tree:
        raise InputError("expected a scene with nodes, found none")
    if "scenes" in tree:
        roots = list(document.item("scenes", tree.get("scene", 0)).get("nodes", ()))
    else:
        children = {child for node in tree["nodes"] for child in node.get("children", ())}
        roots = [index for index in range(len(tree["nodes"])) if index not in children]
    waiting: list[tuple[int, Matrix]] = [(root, np.eye(4)) for root in reversed(roots)]
    met = set()
    while waiting:
        index, parent = waiting.pop()
        node = document.item("nodes", index)
        if index in met:
            raise InputError(f"expected nodes that form trees, found node {index} twice in the scene")
        met.add(index)
        world = parent @ _local(node)
        yield index, world
        waiting += [(child, world) for child in reversed(node.get("children", ()))]


def _local(node: dict[str, Any]) -> Matrix:
    """The matrix parent_from_node (4, 4)."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = _numbers(node, "rotation", (0, 0, 0, 1))
    length = float(np.sqrt(x * x + y * y + z * z + w * w)) or 1.0
    x, y, z, w = x / length, y / length, z / length, w / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= _numbers(node, "scale", (1, 1, 1))
    matrix[:3, 3] = _numbers(node, "translation", (0, 0, 0))
    return matrix


def _numbers(node: dict[str, Any], name: str, default: tuple[float, ...]) -> NDArray[np.float64]:
    values = np.array(node.get(name, default), float)
    if values.shape != (len(default),):
        raise InputError(f"expected {len(default)} numbers as {name} of a node, found {values.shape}")
    return values


def _pose(document: Document, skin: Any, globals_: dict[int, Matrix]) -> NDArray[np.float64]:
    """The matrices world_from_bound (joints, 4, 4) of a skin."""
    described = document.item("skins", skin)
    joints = described["joints"]
    world = np.stack([globals_.get(joint, np.eye(4)) for joint in joints])
    if "inverseBindMatrices" not in described:
        return world
    inverse = document.accessor(described["inverseBindMatrices"]).astype(float).reshape(-1, 4, 4).transpose(0, 2, 1)
    return world @ take(inverse, np.arange(len(joints)), "inverse bind matrices")


def _add(
    document: Document,
    builder: ModelBuilder,
    surfaces: Surfaces,
    primitive: dict[str, Any],
    world: Matrix,
    pose: NDArray[np.float64] | None,
) -> None:
    mode = primitive.get("mode", _TRIANGLES)
    attributes = primitive["attributes"]
    if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
        return
    position = document.vectors(attributes["POSITION"], 3)
    if "indices" in primitive:
        indices = document.accessor(primitive["indices"])[:, 0]
    else:
        indices = None
    count = len(position) if indices is None else len(indices)
    builder.room_for(count // 3 if mode == _TRIANGLES else max(count - 2, 0))
    faces = _faces(np.arange(count) if indices is None else indices.astype(np.int64), mode)
    if pose is not None and "JOINTS_0" in attributes and "WEIGHTS_0" in attributes:
        placed = _skinned(document, attributes, position, pose)
    else:
        placed = position @ world[:3, :3].T + world[:3, 3]
        if np.linalg.det(world[:3, :3]) < 0:
            faces = faces[:, ::-1]
    corners = take(placed, faces, "vertices")
    surface = surfaces.of(primitive.get("material"))
    uv_name = f"TEXCOORD_{surface.uv_set}"
    uv = None
    if uv_name in attributes:
        uv = take(surface.place_uv(document.vectors(attributes[uv_name], 2)), faces, "texture coordinates")
    shade = None
    if "COLOR_0" in attributes:
        shade = take(document.accessor(attributes["COLOR_0"])[:, :3], faces, "colors")
    builder.add(corners, surface.plain if uv is None else surface.textured, uv, shade, vertex=faces)


def _faces(indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Triangles (f, 3) of a list, strip or fan of vertices."""
    if mode == _TRIANGLES:
        if len(indices) % 3:
            raise InputError(f"expected three vertices for each triangle, found {len(indices)}")
        return indices.reshape(-1, 3)
    step = np.arange(max(len(indices) - 2, 0))
    if mode == _FAN:
        return np.stack([indices[np.zeros_like(step)], indices[step + 1], indices[step + 2]], axis=1)
    odd = step % 2  # every other triangle of a strip is wound the other way
    return np.stack([indices[step], indices[step + 1 + odd], indices[step + 2 - odd]], axis=1)


def _skinned(
    document: Document, attributes: dict[str, Any], position: NDArray[Any], pose: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Vertices (v, 3) in the world, where their joints hold them (section 3.7.3.3)."""
    joints = document.vectors(attributes["JOINTS_0"], 4).astype(np.int64)
    weights = document.vectors(attributes["WEIGHTS_0"], 4)
    if not len(joints) == len(weights) == len(position):
        raise InputError(f"expected joints of each of {len(position)} vertices, found {len(joints)}")
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0, total, 1)
    homogeneous = np.concatenate([position, np.ones((len(position), 1))], axis=1)
    placed = np.zeros((len(position), 3))
    for k in range(4):
        matrices = take(pose, joints[:, k], "joints")
        placed += weights[:, k : k + 1] * np.einsum("vij,vj->vi", matrices[:, :3], homogeneous)
    return placed
