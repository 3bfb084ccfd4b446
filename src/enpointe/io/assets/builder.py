"""Putting a model together from the parts that a file describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Material, Model

GRAY = (0.7, 0.7, 0.7)
"""Of what came without a color."""
MAX_COORDINATE = 1e9
"""Beyond this no unit of length makes sense; damaged floats do."""
MAX_PARTS = 20_000
"""Pieces of one model, each a mesh at a place; a small file may name the same one without end."""


class ModelBuilder:
    """Collects triangles and materials; the model has the file's own axes.

    Attributes:
        limits: that it keeps.
        keep: chooses among a scene's nodes by name.
        palette: whether every texture is known to be a sheet of swatches.
        lost: why each texture and material file that could not be read is done without.
        has_colors: whether the file gives a color to any of what was added.
    """

    def __init__(
        self,
        limits: AssetLimits,
        *,
        strict: bool = False,
        keep: Callable[[str], bool] = lambda node: True,
        palette: bool = False,
    ) -> None:
        """`strict` makes a texture or material file that cannot be read an error."""
        self.limits, self.keep, self.palette = limits, keep, palette
        self.materials: list[Material] = []
        self.lost: list[str] = []
        self.has_colors = False
        self._strict = strict
        self._uncolored: set[int] = set()
        self._pixels = 0
        self._parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        self._vertices: list[NDArray[np.int64] | None] = []
        self._faces = 0

    def add_material(self, material: Material, *, colored: bool = True) -> int:
        """A number for a further material; `colored`: whether its color comes from the file.

        Raises:
            InputError: with it, the model has more pixels of textures than allowed.
        """
        if material.texture is not None:
            self._pixels += material.texture[..., 0].size
            if self._pixels > self.limits.all_pixels:
                raise InputError(f"expected textures of at most {self.limits.all_pixels} pixels in all, found more")
        self.materials.append(material)
        number = len(self.materials) - 1
        if not colored:
            self._uncolored.add(number)
        return number

    def do_without(self, error: InputError) -> None:
        """Notes what a texture or material file is missing for; where `strict`, raises that."""
        if self._strict:
            raise error
        self.lost.append(str(error))

    def room_for(self, faces: int) -> None:
        """InputError if that many further triangles are too many; to be called before they are made."""
        self.limits.check_faces(self._faces + faces)

    def add(
        self,
        triangles: NDArray[Any],
        material: int | NDArray[np.int64],
        uv: NDArray[Any] | None = None,
        shade: NDArray[Any] | None = None,
        *,
        vertex: NDArray[np.int64] | None = None,
    ) -> None:
        """Adds triangles.

        Args:
            triangles: (f, 3, 3) corners.
            material: their number or numbers (f,).
            uv, shade: (f, 3, 2) and (f, 3, 3), see `Model`.
            vertex: (f, 3) numbers of the corners' vertices; by default corners at one place are one vertex.
        """
        self.room_for(len(triangles))
        if len(self._parts) >= MAX_PARTS:
            raise InputError(f"expected a model of at most {MAX_PARTS} parts, found more")
        self._faces += len(triangles)
        worst = float(np.abs(triangles).max(initial=0))
        if not worst <= MAX_COORDINATE:  # NaN is not
            raise InputError(f"expected coordinates within {MAX_COORDINATE:g} of the origin, found {worst}")
        f = len(triangles)
        colored = shade is not None or (f > 0 and not self._uncolored.issuperset(np.unique(material).tolist()))
        if uv is None:
            uv = np.zeros((f, 3, 2), np.float32)
        if shade is None:
            shade = np.ones((f, 3, 3), np.float32)
        uv = np.nan_to_num(uv.astype(np.float32), posinf=0, neginf=0)
        shade = np.nan_to_num(shade.astype(np.float32)).clip(0, 1)
        self._parts.append((triangles.astype(np.float64), uv, shade, np.broadcast_to(np.int64(material), f)))
        self._vertices.append(vertex)
        self.has_colors |= colored

    def build(self) -> Model:
        """All of it.

        Raises:
            InputError: there are no triangles.
        """
        if self._faces == 0:
            raise InputError("expected a model with triangles, found none")
        triangles, uv, shade, material = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        return Model(triangles, uv, shade, material, tuple(self.materials))

    def vertices(self) -> NDArray[np.int64]:
        """(f, 3) numbers of the vertices that the model's corners are."""
        numbers, start = [], 0
        for (triangles, *_), vertex in zip(self._parts, self._vertices, strict=True):
            if vertex is None:
                vertex = grouped(triangles.reshape(-1, 3).T).reshape(-1, 3)
            numbers.append(vertex + start)
            start += int(vertex.max(initial=-1)) + 1
        return np.concatenate(numbers)


def grouped(columns: Iterable[NDArray[Any]]) -> NDArray[np.int64]:
    """Numbers (n,) from 0 on, the same for rows that have the same values in all columns (n,), in their order."""
    number: NDArray[np.int64] = np.zeros(1, np.int64)
    for column in columns:
        other = _ranks(column)
        number = _ranks(number * (int(other.max(initial=0)) + 1) + other)
    return number


def _ranks(values: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) how many different values (n,) are lower."""
    if len(values) and values.dtype.kind in "iu" and values.min() >= 0 and values.max() < 4 * len(values):
        there = np.zeros(int(values.max()) + 1, bool)  # in linear time
        there[values] = True
        return (np.cumsum(there) - 1)[values]
    return np.unique(values, return_inverse=True)[1]


def first_of(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of the numbers that `grouped` gave stands first."""
    first = np.empty(int(number.max(initial=-1)) + 1, np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]  # what is assigned last stays
    return first


def take(values: NDArray[Any], indices: NDArray[np.int64], what: str) -> NDArray[Any]:
    """`values[indices]`, where each index must exist.

    Raises:
        InputError: one does not; `what` names the values.
    """
    if indices.size and not (indices.min() >= 0 and indices.max() < len(values)):
        raise InputError(
            f"expected indices of {what} from 0 to {len(values) - 1}, found {indices.min()} to {indices.max()}"
        )
    return values[indices]


def fans(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Polygons of `sizes` (n,) corners that follow one another, as triangles (f, 3) of corner numbers.

    Each is cut into a fan around its first corner. Those of fewer than three corners give none.
    """
    start = np.cumsum(sizes) - sizes
    count = np.maximum(sizes - 2, 0)
    first = np.repeat(start, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    return np.stack([first, first + step, first + step + 1], axis=1)
