"""An order for the points of a cloud in which a place in the row means a place in space.

The cloud is halved by the median along z, each half along x, each quarter along y, and so on: a transport of the cloud
to a grid, one dimension at a time. Point i of any ordered cloud then lies in about the same region, so that a cloud
becomes an array, and neighbors in the row are neighbors in space.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from enpointe.core.errors import InputError

AXES = (2, 0, 1)
"""Coordinates along which a cloud is halved, in turn."""


def in_kd_order(cloud: Float[Tensor, "n c p"], leaf: int = 1) -> Float[Tensor, "n c p"]:
    """Clouds (N, C, P), x, y, z first, with their points in kd order; see `kd_order`."""
    return cloud.gather(2, kd_order(cloud[:, :3], leaf)[:, None].expand_as(cloud))


def kd_order(points: Float[Tensor, "n 3 p"], leaf: int = 1) -> Int64[Tensor, "n p"]:
    """Where each point of the ordered cloud stands in the given one.

    Args:
        points: (N, 3, P); P is `leaf` times a power of two.
        leaf: groups of so many points are not divided any more.

    Raises:
        InputError: another number of points.
    """
    n, _, p = points.shape
    levels = (p // leaf).bit_length() - 1
    if leaf < 1 or p != leaf << max(levels, 0):
        raise InputError(f"kd order: expected {leaf} times a power of two as the number of points, found {p}")
    order = torch.arange(p, device=points.device).expand(n, p)
    for level in range(levels):
        values = points[:, AXES[level % len(AXES)]].gather(1, order)
        parts = (n << level, p >> level)
        order = order.reshape(parts).gather(1, values.reshape(parts).argsort(1)).reshape(n, p)
    return order
