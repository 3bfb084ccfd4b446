"""Array checks that clouds and meshes share: the right shape, finite, in range, or an InputError."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy.typing import NDArray

from enpointe.core.errors import InputError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

ROUNDING = 1e-3  # colors may leave [0, 1] by this much and are clipped


def numeric(values: Any, name: str) -> Shaped[NDArray[Any], "*shape"]:
    """`values` as an array of numbers, whatever its shape."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # a ragged list
        raise InputError(f"{name}: expected an array of numbers, found {type(values).__name__}: {error}") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: expected an array of numbers, found dtype {array.dtype}")
    return array


def finite_floats(values: Any, name: str) -> Float32[Floats, "*shape"]:
    """`values` as contiguous float32, every one finite (also after the rounding to float32)."""
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(numeric(values, name), dtype=np.float32)
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise InputError(f"{name}: expected finite numbers, found {bad} of {array.size} NaN or infinite")
    return array


def triples(values: Any, name: str) -> Float32[Floats, "n 3"]:
    """`values` as (n, 3) float32, finite, n at least 1."""
    array = numeric(values, name)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name}: expected shape (n, 3), found {array.shape}")
    if len(array) == 0:
        raise InputError(f"{name}: expected at least one row, found none")
    return finite_floats(array, name)


def extent(points: Float32[Floats, "n 3"]) -> str:
    """Where points (n, 3) are, in words: "x -0.31..0.31, y -0.5..0.5, z 0..1"."""
    bounds = zip("xyz", points.min(axis=0), points.max(axis=0), strict=True)
    return ", ".join(f"{axis} {low:.3g}..{high:.3g}" for axis, low, high in bounds)


def unit_colors(values: Any, count: int, name: str = "colors") -> Float32[Floats, "{count} 3"]:
    """`values` as (count, 3) float32 in [0, 1]; rounding beyond the ends is clipped."""
    array = triples(values, name)
    if len(array) != count:
        raise InputError(f"{name}: expected {count} rows, one for each point, found {len(array)}")
    low, high = float(array.min()), float(array.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise InputError(f"{name}: expected values in [0, 1], found {low:g} to {high:g}")
    return array if low >= 0 and high <= 1 else np.clip(array, 0, 1)
