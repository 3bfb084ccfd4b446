"""Which way a view of a shape looks: the axes of its image in the world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ViewAxes(NamedTuple):
    """Orthonormal axes in the world (3,): to the right of the image, up in it, and away from the eye.

    They say whence a shape is seen, not from how far: an orthographic view needs no more, and cameras at the distance
    that a shape needs are placed along `away`.
    """

    right: NDArray[np.float64]
    up: NDArray[np.float64]
    away: NDArray[np.float64]


def view_axes(azimuth: float, elevation: float) -> ViewAxes:
    """Angles in degrees; azimuth 0 looks at the front (from -y), elevation 90 from above (z up)."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    right = np.array([np.cos(a), np.sin(a), 0])
    away = np.array([-np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), -np.sin(e)])
    return ViewAxes(right, np.cross(right, away), away)
