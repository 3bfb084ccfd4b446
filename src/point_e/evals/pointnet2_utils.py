"""The release's operations on clouds and layers of PointNet++ (arXiv 1706.02413), module by module under its names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.nn.pointnet2 import farthest_points
from point_e._originals import Originals


def timeit(tag: str, t: float) -> float:
    """Prints the seconds since t, and gives the time now."""
    now = time.time()
    print(f"{tag}: {now - t}s")
    return now


def pc_normalize(pc: NDArray[Any]) -> NDArray[Any]:
    """A cloud (n, 3) centered, and scaled into the unit ball."""
    centered = pc - pc.mean(axis=0)
    return centered / np.linalg.norm(centered, axis=1).max()


def square_distance(src: Tensor, dst: Tensor) -> Tensor:
    """Squared distances (B, N, M) of points (B, N, C) to points (B, M, C).

    From norms and products, as in the release: what lies on a ball's rim is decided by rounding.
    """
    products = src @ dst.transpose(1, 2)
    return src.square().sum(-1)[..., None] - 2 * products + dst.square().sum(-1)[:, None]


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
    """Indices (B, S, nsample) of the first points (B, N, 3) within a radius of centers (B, S, 3) among them.

    Where there are fewer, the first of them repeats.
    """
    n_points = xyz.shape[1]
    outside = square_distance(new_xyz, xyz) > radius**2
    index = torch.arange(n_points, device=xyz.device).expand_as(outside).masked_fill(outside, n_points)
    near = index.sort(dim=-1).values[..., :nsample]
    near = F.pad(near, (0, nsample - near.shape[-1]), value=n_points)
    return torch.where(near == n_points, near[..., :1], near)


def sample_and_group(
    npoint: int,
    radius: float,
    nsample: int,
    xyz: Tensor,
    points: Tensor | None,
    returnfps: bool = False,
    deterministic: bool = False,
) -> tuple[Tensor, ...]:
    """Neighborhoods of some points.

    Args:
        xyz: (B, N, 3). points: further values (B, N, D) of each, or None.
        returnfps: give the neighbors' places and the centers' indices too.
        deterministic: as in `farthest_point_sample`.

    Returns:
        Centers (B, npoint, 3); offsets from them with the further values behind, (B, npoint, nsample, 3 + D); and
        with `returnfps` (B, npoint, nsample, 3) and (B, npoint).
    """
    chosen = farthest_point_sample(xyz, npoint, deterministic=deterministic)
    centers = index_points(xyz, chosen)
    near = query_ball_point(radius, nsample, xyz, centers)
    grouped = index_points(xyz, near)
    offsets = grouped - centers[:, :, None]
    values = offsets if points is None else torch.cat([offsets, index_points(points, near)], dim=-1)
    return (centers, values, grouped, chosen) if returnfps else (centers, values)


def sample_and_group_all(xyz: Tensor, points: Tensor | None) -> tuple[Tensor, Tensor]:
    """The whole cloud as one neighborhood of the origin: (B, 1, 3) and (B, 1, N, 3 + D)."""
    values = xyz if points is None else torch.cat([xyz, points], dim=-1)
    return xyz.new_zeros(len(xyz), 1, xyz.shape[2]), values[:, None]


class PointNetSetAbstraction(nn.Module):
    """One level: centers, each the maximum of a shared network over its neighborhood.

    Args:
        npoint, radius, nsample: centers, and reach and size of their neighborhoods.
        in_channel: of a neighbor, its offset's three included.
        mlp: widths of the shared network.
        group_all: one neighborhood of everything; the first three are not used then.
    """

    def __init__(
        self,
        npoint: int | None,
        radius: float | None,
        nsample: int | None,
        in_channel: int,
        mlp: Sequence[int],
        group_all: bool,
    ) -> None:
        super().__init__()
        self.npoint = npoint
        self.radius = radius
        self.nsample = nsample
        self.mlp_convs, self.mlp_bns = _layers(nn.Conv2d, nn.BatchNorm2d, in_channel, mlp)
        self.group_all = group_all

    def forward(self, xyz: Tensor, points: Tensor | None) -> tuple[Tensor, Tensor]:
        """Points (B, 3, N) and further values (B, D, N) -> centers (B, 3, S) and their features (B, mlp[-1], S)."""
        xyz, points = xyz.transpose(1, 2), None if points is None else points.transpose(1, 2)
        if self.group_all:
            centers, values = sample_and_group_all(xyz, points)
        else:
            assert self.npoint is not None and self.radius is not None and self.nsample is not None  # noqa: PT018
            centers, values = sample_and_group(
                self.npoint, self.radius, self.nsample, xyz, points, deterministic=not self.training
            )
        features = _shared(values.permute(0, 3, 2, 1), self.mlp_convs, self.mlp_bns)
        return centers.transpose(1, 2), features.amax(dim=2)


class PointNetSetAbstractionMsg(nn.Module):
    """A level with neighborhoods of several sizes around each center. in_channel: of a point, without its offset."""

    def __init__(
        self,
        npoint: int,
        radius_list: Sequence[float],
        nsample_list: Sequence[int],
        in_channel: int,
        mlp_list: Sequence[Sequence[int]],
    ) -> None:
        super().__init__()
        self.npoint = npoint
        self.radius_list = radius_list
        self.nsample_list = nsample_list
        self.conv_blocks, self.bn_blocks = nn.ModuleList(), nn.ModuleList()
        for mlp in mlp_list:
            convs, bns = _layers(nn.Conv2d, nn.BatchNorm2d, in_channel + 3, mlp)
            self.conv_blocks.append(convs)
            self.bn_blocks.append(bns)

    def forward(self, xyz: Tensor, points: Tensor | None) -> tuple[Tensor, Tensor]:
        """Points (B, 3, N) and further values (B, D, N) -> centers (B, 3, S) and all sizes' features (B, D', S)."""
        xyz, points = xyz.transpose(1, 2), None if points is None else points.transpose(1, 2)
        centers = index_points(xyz, farthest_point_sample(xyz, self.npoint, deterministic=not self.training))
        found = []
        sizes = zip(self.radius_list, self.nsample_list, self.conv_blocks, self.bn_blocks, strict=True)
        for radius, nsample, convs, bns in sizes:
            assert isinstance(convs, nn.ModuleList) and isinstance(bns, nn.ModuleList)  # noqa: PT018
            near = query_ball_point(radius, nsample, xyz, centers)
            values = index_points(xyz, near) - centers[:, :, None]
            if points is not None:  # in front of the offsets, other than in `sample_and_group`
                values = torch.cat([index_points(points, near), values], dim=-1)
            found.append(_shared(values.permute(0, 3, 2, 1), convs, bns).amax(dim=2))
        return centers.transpose(1, 2), torch.cat(found, dim=1)


class PointNetFeaturePropagation(nn.Module):
    """Features of few points for many: the mean of the three nearest, by 1 / squared distance, and a shared network."""

    def __init__(self, in_channel: int, mlp: Sequence[int]) -> None:
        super().__init__()
        self.mlp_convs, self.mlp_bns = _layers(nn.Conv1d, nn.BatchNorm1d, in_channel, mlp)

    def forward(self, xyz1: Tensor, xyz2: Tensor, points1: Tensor | None, points2: Tensor) -> Tensor:
        """Features for points (B, 3, N) from those of few, (B, mlp[-1], N).

        Args:
            xyz1, points1: the many, with what is known of them (B, D, N) or None.
            xyz2, points2: the few (B, 3, S) and their features (B, D', S).
        """
        many, few, features = xyz1.transpose(1, 2), xyz2.transpose(1, 2), points2.transpose(1, 2)
        if few.shape[1] == 1:
            spread = features.expand(-1, many.shape[1], -1)
        else:
            away, nearest = (part[..., :3] for part in square_distance(many, few).sort(dim=-1))
            weights = 1 / (away + 1e-8)
            weights = weights / weights.sum(dim=2, keepdim=True)
            spread = (index_points(features, nearest) * weights[..., None]).sum(dim=2)
        if points1 is not None:
            spread = torch.cat([points1.transpose(1, 2), spread], dim=-1)
        return _shared(spread.transpose(1, 2), self.mlp_convs, self.mlp_bns)


def _layers(
    convolution: type[nn.Module], norm: type[nn.Module], channels: int, widths: Sequence[int]
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """A shared network's convolutions of size 1 and its batch norms."""
    convs, bns = nn.ModuleList(), nn.ModuleList()
    for width in widths:
        convs.append(convolution(channels, width, 1))
        bns.append(norm(width))
        channels = width
    return convs, bns


def _shared(values: Tensor, convs: Iterable[nn.Module], bns: Iterable[nn.Module]) -> Tensor:
    """Values (B, C, ...) -> (B, C', ...)."""
    for conv, bn in zip(convs, bns, strict=True):
        values = F.relu(bn(conv(values)))
    return values


ORIGINALS = Originals(globals())
