"""From the axes of glTF and OBJ, y up, to ours and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def y_up(vectors: NDArray[Any]) -> NDArray[Any]:
    """(..., 3) from z up to y up; the front, our -y, becomes glTF's +z."""
    return np.stack([vectors[..., 0], vectors[..., 2], -vectors[..., 1]], axis=-1)


def z_up(vectors: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `y_up`."""
    return np.stack([vectors[..., 0], -vectors[..., 2], vectors[..., 1]], axis=-1)
