"""Colors as displayed, and as light."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from enpointe.geometry.checks import Floats


def to_linear(srgb: ArrayLike) -> Float32[Floats, "*shape"]:
    """Linear light of sRGB values in [0, 1], of any shape (IEC 61966-2-1)."""
    values = np.asarray(srgb)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(linear: ArrayLike) -> Float32[Floats, "*shape"]:
    """The inverse of `to_linear`; values beyond [0, 1] become its ends."""
    values = np.asarray(linear).clip(0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055).astype(np.float32)
