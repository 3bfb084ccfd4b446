"""Clouds in the unit ball, as the classifier of P-FID and P-IS sees them, in training and when it measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from enpointe.core.errors import InputError


def normalized(clouds: NDArray[Any]) -> Float[NDArray[Any], "clouds points 3"]:
    """Each cloud's mean moved to the origin, its farthest point to distance 1.

    Args:
        clouds: (n, N, 3), N at least 1, in any unit.

    Returns:
        The same shape, float32 where float32 or less came, otherwise float64. A cloud whose points all
        coincide becomes zeros (in the release, NaN).

    Raises:
        InputError: another shape, no numbers, or a cloud that holds NaN or infinity (its index is named).
    """
    if clouds.ndim != 3 or clouds.shape[1] == 0 or clouds.shape[2] != 3:
        raise InputError(f"clouds: expected shape (n, points, 3), found {clouds.shape}")
    if clouds.dtype.kind not in "fiu":
        raise InputError(f"clouds: expected numbers, found dtype {clouds.dtype}")
    small = clouds.dtype.kind == "f" and clouds.dtype.itemsize <= 4
    clouds = clouds.astype(np.float32 if small else np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        centered = clouds - clouds.mean(axis=1, keepdims=True)
        radius = np.sqrt((centered**2).sum(axis=2, keepdims=True)).max(axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(radius))  # a maximum keeps NaN, and all that overflows
    if len(bad):
        raise InputError(f"clouds: expected finite points, found NaN or infinity in {len(bad)}, first cloud {bad[0]}")
    return centered / np.where(radius > 0, radius, 1)
