"""Clouds in a matplotlib figure, as the release's examples show them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .point_cloud import PointCloud

try:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError(
        f"point_e.util.plotting draws with matplotlib: pip install 'enpointe[point-e]' ({error})"
    ) from error

Corner = tuple[float, float, float]
UNIT: tuple[Corner, Corner] = ((-0.75,) * 3, (0.75,) * 3)
INCHES = 8


def plot_point_cloud(
    pc: PointCloud, color: bool = True, grid_size: int = 1, fixed_bounds: tuple[Corner, Corner] | None = UNIT
) -> Figure:
    """A figure of grid_size x grid_size views, the cloud turned around z by an equal angle from each to the next.

    Args:
        color: in the cloud's colors R, G, B.
        fixed_bounds: lowest and highest corner of the world shown; None: a cube around the cloud.
    """
    figure = plt.figure(figsize=(INCHES, INCHES))
    style: dict[str, Any] = {"c": np.stack([pc.channels[name] for name in "RGB"], axis=-1)} if color else {}
    for i in range(grid_size**2):
        axes: Any = figure.add_subplot(grid_size, grid_size, i + 1, projection="3d")
        points = _turned(pc.coords, 2 * np.pi * i / grid_size**2) if i else pc.coords
        axes.scatter(*points.T, **style)
        low, high = _cube(points) if fixed_bounds is None else fixed_bounds
        for name, start, end in zip("xyz", low, high, strict=True):
            axes.set(**{f"{name}lim": (start, end)})
    return figure


def _turned(points: NDArray[Any], angle: float) -> NDArray[Any]:
    """Points (n, 3) turned around z, clockwise seen from above."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _cube(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    low, high = points.min(axis=0), points.max(axis=0)
    reach = (high - low).max() / 2
    return (low + high) / 2 - reach, (low + high) / 2 + reach
