"""Putting a model together from the parts that a file describes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Material, Model

GREY = (0.7, 0.7, 0.7)
"""Of what came without a colour."""
MAX_COORDINATE = 1e9
"""Beyond this no unit of length makes sense; damaged floats do."""
MAX_PARTS = 20_000
"""Pieces of one model, each a mesh at a place; a small file may name the same one without end."""


class ModelBuilder:
    """Collects triangles and materials; the model has the file's own axes."""

    def __init__(self, limits: AssetLimits) -> None:
        self.limits = limits
        self.materials: list[Material] = []
        self._parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        self._faces = 0

    def wear(self, material: Material) -> int:
        """A number for a further material."""
        self.materials.append(material)
        return len(self.materials) - 1

    def room_for(self, faces: int) -> None:
        """InputError if that many further triangles are too many; to be asked before they are made."""
        self.limits.check_faces(self._faces + faces)

    def add(
        self,
        triangles: NDArray[Any],
        material: int | NDArray[np.int64],
        uv: NDArray[Any] | None = None,
        shade: NDArray[Any] | None = None,
    ) -> None:
        """Corners (f, 3, 3), their material's number or numbers (f,), uv (f, 3, 2), shade (f, 3, 3); see `Model`."""
        self.room_for(len(triangles))
        if len(self._parts) >= MAX_PARTS:
            raise InputError(f"expected a model of at most {MAX_PARTS} parts, found more")
        self._faces += len(triangles)
        worst = float(np.abs(triangles).max(initial=0))
        if not worst <= MAX_COORDINATE:  # NaN is not
            raise InputError(f"expected coordinates within {MAX_COORDINATE:g} of the origin, found {worst}")
        f = len(triangles)
        if uv is None:
            uv = np.zeros((f, 3, 2), np.float32)
        if shade is None:
            shade = np.ones((f, 3, 3), np.float32)
        uv = np.nan_to_num(uv.astype(np.float32), posinf=0, neginf=0)
        shade = np.nan_to_num(shade.astype(np.float32)).clip(0, 1)
        self._parts.append((triangles.astype(np.float64), uv, shade, np.broadcast_to(np.int64(material), f)))

    def build(self) -> Model:
        """All of it.

        Raises:
            InputError: there are no triangles.
        """
        if self._faces == 0:
            raise InputError("expected a model with triangles, found none")
        triangles, uv, shade, material = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        return Model(triangles, uv, shade, material, tuple(self.materials))


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
