"""The release's operations on clouds, over enpointe.nn.pointnet2."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enpointe.nn.pointnet2 import ball_query, farthest_points


def pc_normalize(pc: NDArray[Any]) -> NDArray[Any]:
    """A cloud (n, 3) centred, and scaled into the unit ball."""
    centred = pc - pc.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=1).max()


def square_distance(src: Tensor, dst: Tensor) -> Tensor:
    """Squared distances (B, N, M) of points (B, N, C) to points (B, M, C)."""
    return torch.cdist(src, dst, compute_mode="donot_use_mm_for_euclid_dist").square()


def index_points(points: Tensor, idx: Tensor) -> Tensor:
    """Of points (B, N, C) those at indices (B, ...): (B, ..., C)."""
    batch = torch.arange(len(points), device=points.device).reshape(-1, *[1] * (idx.ndim - 1))
    return points[batch, idx]


def farthest_point_sample(xyz: Tensor, npoint: int, deterministic: bool = False) -> Tensor:
    """Indices (B, npoint) of points (B, N, 3); starts at a cloud's place in the batch or, by default, anywhere."""
    batch, n_points, _ = xyz.shape
    start = torch.arange(batch) if deterministic else torch.randint(n_points, (batch,))
    return farthest_points(xyz, npoint, start)


def query_ball_point(radius: float, nsample: int, xyz: Tensor, new_xyz: Tensor) -> Tensor:
    """Indices (B, S, nsample) of the first points (B, N, 3) within a radius of centres (B, S, 3) among them.

    Where there are fewer, the first of them repeats.
    """
    return ball_query(xyz, new_xyz, radius, nsample)[0]
