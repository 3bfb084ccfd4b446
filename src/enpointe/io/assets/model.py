"""A model as colored triangles, and the colors of its points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.colors import to_linear, to_srgb

SOLID = 128
"""A texture of less coverage (of 255) is cut away, of more is there."""


@dataclass(frozen=True)
class Material:
    """The surface of faces.

    Attributes:
        color: (3,) sRGB in [0, 1]; multiplies the texture where there is one.
        texture: (h, w, 4) uint8 sRGB and coverage, row 0 at v = 1.
        linear: whether `color` multiplies in linear light (glTF) or as displayed (OBJ).
        smooth: whether an image shows the texture interpolated (as displayed, coverage weighing color). Sheets of
            swatches are not: next to one lies another that has nothing to do with it.
    """

    color: NDArray[np.float32]
    texture: NDArray[np.uint8] | None = None
    linear: bool = False
    smooth: bool = True


@dataclass(frozen=True)
class Model:
    """Triangles of f faces, z up, front along -y, in any unit and place.

    Attributes:
        triangles: (f, 3, 3) corners.
        uv: (f, 3, 2) texture coordinates, v upwards.
        shade: (f, 3, 3) colors of the corners in [0, 1], linear light, multiplying the material.
        material: (f,) indices into `materials`.
    """

    triangles: NDArray[np.float64]
    uv: NDArray[np.float32]
    shade: NDArray[np.float32]
    material: NDArray[np.int64]
    materials: tuple[Material, ...]

    def normalized(self) -> Model:
        """The same in the unit frame: centered, longest side 1.

        Raises:
            InputError: it has no triangles, no extent, or too much of it for numbers.
        """
        return replace(self, triangles=unit_frame(self.triangles))

    def box(self) -> NDArray[np.float64]:
        """(8, 3) corners of its bounding box."""
        low, high = self.triangles.min(axis=(0, 1)), self.triangles.max(axis=(0, 1))
        return np.where(np.indices((2, 2, 2)).reshape(3, 8).T == 1, high, low)


def unit_frame(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangles (f, 3, 3), moved and scaled so that their bounding box is centered and its longest side 1.

    Raises:
        InputError: there are none, they have no extent, or one too large for numbers.
    """
    if len(triangles) == 0:
        raise InputError("expected a model with triangles, found none")
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        side = float((high - low).max())
    if not side > 0:
        raise InputError("expected a model with some extent, found a single point")
    if not side < np.inf:
        raise InputError(f"expected a model of finite extent, found one from {low} to {high}")
    return (triangles - (low + high) / 2) / side


def solid_points(
    model: Model, face: NDArray[np.integer[Any]], weights: NDArray[np.float64], *, interpolate: bool = False
) -> NDArray[np.bool_]:
    """Which of n points, on faces (n,) at barycentric weights (n, 3), no texture cuts away (as leaves do).

    A point has the nearest texel, or, to `interpolate`, what lies between texels of a smooth texture.
    """
    solid = np.ones(len(face), bool)
    for index, one in enumerate(model.materials):
        if one.texture is not None and (one.texture[..., 3] < SOLID).any():
            at = np.flatnonzero(model.material[face] == index)
            solid[at] = _texels(model, one, face[at], weights[at], interpolate)[:, 3] >= SOLID
    return solid


def sample_colors(
    model: Model, face: NDArray[np.integer[Any]], weights: NDArray[np.float64], *, interpolate: bool = False
) -> NDArray[np.float32]:
    """sRGB colors (n, 3) in [0, 1] of n points on faces (n,) at barycentric weights (n, 3); see `solid_points`."""
    material = model.material[face]
    colors = np.stack([one.color for one in model.materials]).astype(np.float32)[material]
    for index, one in enumerate(model.materials):
        if one.texture is None or len(at := np.flatnonzero(material == index)) == 0:
            continue
        texture = (_texels(model, one, face[at], weights[at], interpolate)[:, :3] / 255).astype(np.float32)
        colors[at] = to_srgb(to_linear(texture) * to_linear(one.color)) if one.linear else texture * one.color
    if not (model.shade == 1).all():
        shade = np.einsum("nk,nkd->nd", weights, model.shade[face]).astype(np.float32)
        tinted = np.flatnonzero((shade < 0.999).any(axis=1))
        colors[tinted] = to_srgb(to_linear(colors[tinted]) * shade[tinted])
    return colors.clip(0, 1)


def _texels(
    model: Model, material: Material, face: NDArray[np.integer[Any]], weights: NDArray[np.float64], interpolate: bool
) -> NDArray[Any]:
    """(n, 4) values of a material's texture from 0 to 255."""
    assert material.texture is not None
    uv = np.einsum("nk,nkd->nd", weights, model.uv[face])
    return _between(material.texture, uv) if interpolate and material.smooth else _at(material.texture, uv)


def _between(texture: NDArray[np.uint8], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    """A repeating texture bilinearly at uv (n, 2); what is transparent does not count in the color."""
    rows, columns = texture.shape[:2]
    x, y = uv[:, 0] % 1.0 * columns - 0.5, (1 - uv[:, 1]) % 1.0 * rows - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((len(uv), 4), np.float32)
    for row, across in ((top, top + 1 - y), (top + 1, y - top)):
        for column, along in ((left, left + 1 - x), (left + 1, x - left)):
            texel = texture[row % rows, column % columns].astype(np.float32)
            texel[:, :3] *= texel[:, 3:] / 255
            total += (across * along)[:, None].astype(np.float32) * texel
    total[:, :3] *= 255 / np.maximum(total[:, 3:], 1)
    return total


def _at(grid: NDArray[Any], uv: NDArray[np.floating]) -> NDArray[Any]:
    """The nearest cells of a grid (rows from v = 1 down, columns from u = 0, ...) that repeats, at uv (n, 2)."""
    rows, columns = grid.shape[:2]
    uv = uv % 1.0
    row = np.minimum((1 - uv[:, 1]) * rows, rows - 1).astype(int)
    return grid[row, np.minimum(uv[:, 0] * columns, columns - 1).astype(int)]
