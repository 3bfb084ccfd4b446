"""PointNet++ with single-scale grouping (arXiv 1706.02413), the classifier behind P-FID and P-IS.

Clouds are centered and scaled into the unit ball before they come here; radii are in that unit. Keys of the
state dict are those of the released `pointnet` checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from enpointe.nn.network import NetworkConfig, network

BLOCK = 2048
"""Rows that go through a level's layers together on a CPU."""


class PointNet2Output(NamedTuple):
    """The classifier's output for B clouds."""

    log_probs: Float[Tensor, "b classes"]
    """(B, classes), natural logarithms."""
    features: Float[Tensor, "b features"]
    """(B, feature_dim), before the last activation: what P-FID compares."""
    pooled: Float[Tensor, "b pooled"]
    """(B, 1024 * width), the maximum over all of a cloud, before the dense layers."""


class Grouping(NamedTuple):
    """A level's S centers and who is near them, of B clouds of N points."""

    centers: Float[Tensor, "b s 3"]
    """(B, S, 3)."""
    near: Int64[Tensor, "b s k"]
    """(B, S, K), indices into the N points, as `ball_query` gives them."""
    counts: Int64[Tensor, "b s"]
    """(B, S), how many of the K are there; the others repeat the first."""


@network
@dataclass(frozen=True)
class PointNet2Config(NetworkConfig):
    """Arguments of `PointNet2`."""

    kind: ClassVar[str] = "pointnet2"
    classes: int
    width: float = 1
    channels: int = 0
    samples: tuple[int, int] = (512, 128)
    radii: tuple[float, float] = (0.2, 0.4)
    neighbours: tuple[int, int] = (32, 64)
    dropout: float = 0.4

    def build(self) -> PointNet2:
        return PointNet2(**vars(self))


class PointNet2(nn.Module):
    """Two levels of neighborhoods, one of everything, three dense layers.

    Args:
        classes: how many there are to tell apart; 40 in the release (ModelNet40).
        width: multiplies every layer's channels; 2 in the released checkpoint, 1 in the paper.
        channels: further ones of each point, such as a normal's 3; none in the released checkpoint.
        samples: centers of the two levels.
        radii: of their neighborhoods.
        neighbors: how many of a neighborhood's points are seen at most, those of the lowest index first.
        dropout: in the dense layers, while training.
    """

    def __init__(
        self,
        *,
        classes: int = 40,
        width: float = 2,
        channels: int = 0,
        samples: tuple[int, int] = (512, 128),
        radii: tuple[float, float] = (0.2, 0.4),
        neighbours: tuple[int, int] = (32, 64),
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        c64, c128, c256, c512, c1024 = (max(1, round(size * width)) for size in (64, 128, 256, 512, 1024))
        self.feature_dim = c256
        self.classes = classes
        self.sa1 = SetAbstraction(channels, (c64, c64, c128), samples[0], radii[0], neighbours[0])
        self.sa2 = SetAbstraction(c128, (c128, c128, c256), samples[1], radii[1], neighbours[1])
        self.sa3 = SharedMLP(c256, (c256, c512, c1024))
        self.fc1 = nn.Linear(c1024, c512)
        self.bn1 = nn.BatchNorm1d(c512)
        self.drop1 = nn.Dropout(dropout)
        self.fc2 = nn.Linear(c512, c256)
        self.bn2 = nn.BatchNorm1d(c256)
        self.drop2 = nn.Dropout(dropout)
        self.fc3 = nn.Linear(c256, classes)

    def forward(
        self,
        points: Float[Tensor, "b c n"],
        start: Int[Tensor, " b"] | None = None,
        groups: Sequence[Grouping] | None = None,
    ) -> PointNet2Output:
        """Classify clouds; under bfloat16 autocast only the wide layers of neighborhoods are in bfloat16.

        Args:
            points: (B, 3 + channels, N), x, y, z in the unit ball; any N of at least 1 (centers repeat for small N).
            start: (B,) integers, the index (modulo the count) at which the farthest-point sampling of each
                cloud starts, in both levels; None is 0, which makes a cloud's result its own, whatever
                batch it sits in. The release starts at the cloud's place in its batch, and at random
                while training: both are for the caller to give.
            groups: what `group` found, where it was called ahead: what is left then is fit to be compiled.
        """
        one, two = self.group(points, start) if groups is None else groups
        points, further = points.transpose(1, 2).split([3, points.shape[1] - 3], dim=2)
        h = self.sa1(points, further if further.shape[2] else None, one)
        h = self.sa2(one.centers, h, two)
        pooled = self.sa3.rows(two.centers, self.sa3.share(h)).amax(dim=1)
        with torch.autocast(pooled.device.type, enabled=False):  # little work, and it is what the metrics compare
            pooled = pooled.to(self.fc1.weight.dtype)
            h = self.drop1(F.relu(self.bn1(self.fc1(pooled))))
            features = self.bn2(self.fc2(h))
            logits = self.fc3(self.drop2(F.relu(features)))
            return PointNet2Output(F.log_softmax(logits, dim=-1), features, pooled)

    def group(
        self, points: Float[Tensor, "b c n"], start: Int[Tensor, " b"] | None = None
    ) -> tuple[Grouping, Grouping]:
        """Who is near whom, on both levels; nothing here is learned. The arguments are those of `forward`."""
        points = points[:, :3].transpose(1, 2)
        if start is None:
            start = torch.zeros(len(points), dtype=torch.long, device=points.device)
        one = self.sa1.group(points, start)
        return one, self.sa2.group(one.centers, start)


class SharedMLP(nn.Module):
    """The same small network for every point: three offsets and `channels` features in, `widths[-1]` out.

    Its layers are kept as 1 x 1 convolutions for their keys' and shapes' sake, and run as matrix products.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp_convs = nn.ModuleList()
        self.mlp_bns = nn.ModuleList()
        before = 3 + channels
        for width in widths:
            self.mlp_convs.append(nn.Conv2d(before, width, 1))
            self.mlp_bns.append(nn.BatchNorm2d(width))
            before = width

    def share(self, features: Float[Tensor, "*points channels"]) -> Float[Tensor, "*points width"]:
        """The first layer's part of features (..., channels): (..., widths[0]), for `rows`.

        That layer is linear, so a point that lies in many neighborhoods goes through it once.
        """
        weight, bias = self._weights(0)
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features.to(weight.dtype), weight[:, 3:], bias)

    def rows(
        self, offsets: Float[Tensor, "*points 3"], shared: Float[Tensor, "*points width"] | None
    ) -> Float[Tensor, "*points out"]:
        """Offsets (..., 3) and what `share` made of the features (None: there are none) -> (..., out)."""
        h = offsets
        for layer in range(len(self.mlp_convs)):
            weight, bias = self._weights(layer)
            if layer:
                h = F.linear(h, weight, bias)
            else:  # three wide: bfloat16 would round where the points are, and gain no time
                with torch.autocast(h.device.type, enabled=False):
                    h = F.linear(h, weight, bias) if shared is None else F.linear(h, weight[:, :3]) + shared
            if self.training:
                norm = self.mlp_bns[layer]
                h = norm(h.reshape(-1, h.shape[-1], 1, 1)).view(h.shape)
            h = F.relu(h, inplace=not torch.is_grad_enabled())
        return h

    def _weights(self, layer: int) -> tuple[Tensor, Tensor]:
        """(out, in) and (out,), with the batch norm's fixed scale and shift inside where it is not training."""
        convolution = cast(nn.Conv2d, self.mlp_convs[layer])
        norm = cast(nn.BatchNorm2d, self.mlp_bns[layer])
        weight, bias = convolution.weight.flatten(1), cast(Tensor, convolution.bias)
        if self.training:
            return weight, bias
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        return weight * scale[:, None], (bias - mean) * scale + norm.bias


class SetAbstraction(SharedMLP):
    """One level (section 3.2): centers by farthest-point sampling, each the maximum over its neighborhood."""

    def __init__(self, channels: int, widths: Sequence[int], samples: int, radius: float, neighbours: int) -> None:
        super().__init__(channels, widths)
        self.samples = samples
        self.radius = radius
        self.neighbours = neighbours

    def group(self, points: Float[Tensor, "b n 3"], start: Int[Tensor, " b"]) -> Grouping:
        """The centers of points (B, N, 3), the first of them where start (B,) says, and their neighborhoods."""
        index = farthest_points(points, self.samples, start)
        centers = points.gather(1, index[..., None].expand(-1, -1, 3))
        return Grouping(centers, *ball_query(points, centers, self.radius, self.neighbours))

    def forward(
        self, points: Float[Tensor, "b n 3"], features: Float[Tensor, "b n channels"] | None, group: Grouping
    ) -> Float[Tensor, "b s out"]:
        """Points (B, N, 3), features (B, N, channels) and their grouping -> features of the centers (B, S, out)."""
        batch, n_points, _ = points.shape
        centers, near, counts = group
        near = near + n_points * torch.arange(batch, device=points.device)[:, None, None]

        flat = points.reshape(-1, 3)
        shared = None if features is None else self.share(features).flatten(0, 1)
        # On a CPU a few neighborhoods at a time, so that what lies between two layers stays in the cache.
        at_once = BLOCK // self.neighbours if flat.device.type == "cpu" and not self.training else batch * self.samples
        blocks = zip(*(part.flatten(0, 1).split(max(1, at_once)) for part in (centers, near, counts)), strict=True)
        h = torch.cat([self._neighbourhoods(flat, shared, *block) for block in blocks])
        return h.view(batch, self.samples, -1)

    def _neighbourhoods(
        self, points: Tensor, shared: Tensor | None, centers: Tensor, near: Tensor, count: Tensor
    ) -> Tensor:
        """Points (M, 3), shared (M, width), centers (S, 3), indices near (S, K), counts (S,) -> maxima (S, out)."""
        # Places beyond a neighborhood's count repeat its first point, which changes no maximum: only while
        # training do they go through the layers, for the release's batch statistics count them.
        if self.training:
            part = None if shared is None else shared.index_select(0, near.flatten())
            return self.rows((points[near] - centers[:, None]).flatten(0, 1), part).view(*near.shape, -1).amax(dim=1)
        real = torch.arange(self.neighbours, device=near.device) < count[:, None]
        place = real.flatten().nonzero().squeeze(1)
        point = near.flatten()[place]
        offsets = points[point] - centers[place // self.neighbours]
        h = self.rows(offsets, None if shared is None else shared.index_select(0, point))
        if len(place) == real.numel():
            return h.view(*near.shape, -1).amax(dim=1)
        row = real.flatten().cumsum(0) - 1  # of a place beyond the count: the neighborhood's last
        return h.index_select(0, row).view(*near.shape, -1).amax(dim=1)


@torch.no_grad()
def farthest_points(points: Float[Tensor, "b n 3"], count: int, start: Int[Tensor, " b"]) -> Int64[Tensor, "b {count}"]:
    """Indices (B, count) of points (B, N, 3), each the farthest from all those before it.

    Args:
        points: (B, N, 3).
        count: how many; once every point is taken (or lies on one that is), index 0 repeats.
        start: (B,) integers, the first index, taken modulo N.

    Of equally far points the one of the lowest index is taken: the result is fixed by its arguments.
    """
    batch, n_points, _ = points.shape
    planes = points.permute(2, 0, 1).contiguous()
    squares = torch.empty_like(planes)
    nearest = torch.full_like(planes[0], torch.inf)
    chosen = torch.empty(batch, count, dtype=torch.long, device=points.device)
    current = start.to(points.device) % n_points
    for i in range(count):
        chosen[:, i] = current
        torch.sub(planes, planes.gather(2, current.expand(3, batch)[..., None]), out=squares)
        x, y, z = squares.square_()
        torch.minimum(nearest, x.add_(y).add_(z), out=nearest)
        current = nearest.argmax(dim=1)
    return chosen


@torch.no_grad()
def ball_query(
    points: Float[Tensor, "b n 3"], centers: Float[Tensor, "b s 3"], radius: float, limit: int
) -> tuple[Int64[Tensor, "b s {limit}"], Int64[Tensor, "b s"]]:
    """The first points, in the order of their indices, within `radius` of each center.

    Args:
        points: (B, N, 3) in the unit ball.
        centers: (B, S, 3), each one of the points.
        radius: inclusive.
        limit: how many at most.

    Returns:
        Indices (B, S, limit), the places beyond a center's count holding its first; counts (B, S), at least 1.
    """
    batch, samples, _ = centers.shape
    index = torch.zeros(batch, samples, limit, dtype=torch.long, device=points.device)
    count = torch.empty(batch, samples, dtype=torch.long, device=points.device)
    for cloud in range(batch):  # one at a time: S x N distances are large, and a cloud's stay in the cache
        squared = _squared_distances(centers[cloud], points[cloud])
        center, point = (squared <= radius**2).nonzero(as_tuple=True)
        inside = torch.bincount(center, minlength=samples)
        rank = torch.arange(len(center), device=points.device) - (inside.cumsum(0) - inside)[center]
        kept = rank < limit
        index[cloud, center[kept], rank[kept]] = point[kept]
        count[cloud] = inside.clamp(1, limit)  # 1: a NaN is in no ball; it then shows in the result
    beyond = torch.arange(limit, device=points.device) >= count[..., None]
    return torch.where(beyond, index[..., :1], index), count


def _squared_distances(a: Float[Tensor, "s 3"], b: Float[Tensor, "n 3"]) -> Float[Tensor, "s n"]:
    """(S, 3) and (N, 3) -> (S, N), from norms and products: what lies on a ball's rim is decided by rounding."""
    with torch.autocast(a.device.type, enabled=False):  # in bfloat16 other points would lie in the ball
        squared = (a @ b.T).mul_(-2)
    return squared.add_(a.square().sum(-1)[:, None]).add_(b.square().sum(-1)[None])
