"""A model's materials and textures as the colors of a mesh's vertices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from enpointe.geometry.mesh import Mesh
from enpointe.io.assets.builder import first_of, grouped
from enpointe.io.assets.model import Model, sample_colors

INSET = 1e-3
"""A corner's texel is looked up this far on the way to its face's middle: on the face's side of a texture's edge."""
TOLERANCE = 1 / 510
"""Colors of one vertex that differ by less, half a step of 8 bits, are one."""


def to_mesh(model: Model, vertex: NDArray[np.int64], *, colored: bool) -> Mesh:
    """A model's triangles over shared vertices.

    A vertex has the color that the texture has there, the mean over the faces around it that have it at one place of
    the texture; where materials or parts of the texture meet in it in different colors, it becomes several.

    Args:
        vertex: (f, 3) numbers of the corners' vertices. Those of the mesh are in their order.
        colored: whether the mesh has colors.
    """
    corners = model.triangles.reshape(-1, 3)
    if not colored:
        number = grouped([vertex.ravel()])
        return Mesh(corners[first_of(number)].astype(np.float32), number.reshape(-1, 3))
    place, first, color = _places(model, vertex.ravel())
    # The places of a vertex follow one another.
    owner = vertex.ravel()[first]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    spread = np.maximum.reduceat(color, starts) - np.minimum.reduceat(color, starts)
    split = np.repeat(spread.max(axis=1) > TOLERANCE, np.diff(starts, append=len(owner)))
    kept = split | (np.diff(owner, prepend=-1) != 0)
    number = np.cumsum(kept) - 1
    return Mesh(corners[first[kept]].astype(np.float32), number[place].reshape(-1, 3), color[kept])


def _places(
    model: Model, vertex: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The places on the surface's materials where vertices (c,) of corners lie, in the vertices' order.

    Returns numbers (c,) of the corners' places, and of each of p places its first corner (p,) and color (p, 3).
    """
    material = np.repeat(model.material, 3)
    columns = [vertex, material]
    textured = np.array([one.texture is not None for one in model.materials])[material]
    if textured.any():
        columns += list(np.where(textured[:, None], model.uv.reshape(-1, 2), 0).T)
    place = grouped(columns)
    first = first_of(place)
    shade = model.shade.reshape(-1, 3)
    if (shade != shade[first][place]).any():  # the colors of faces
        place = grouped([*columns, *shade.T])
        first = first_of(place)
    if not textured.any():  # any face around shows the color
        return place, first, sample_colors(model, first // 3, np.eye(3)[first % 3])
    middle = model.uv.mean(axis=1, keepdims=True)
    inset = replace(model, uv=model.uv + INSET * (middle - model.uv))
    corner = np.arange(len(vertex))
    color = sample_colors(inset, corner // 3, np.eye(3)[corner % 3])
    count = np.bincount(place)
    mean = np.stack([np.bincount(place, color[:, i]) / count for i in range(3)], axis=1)
    return place, first, mean.astype(np.float32)
