"""What lies around each point of a cloud, as a feature of that point."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

OFFSET_SCALE = 4.0
"""Brings offsets to the nearest points, mostly below a quarter, to about unit size."""


class Neighbourhood(nn.Module):
    """A small network over the offsets to each point's nearest points, pooled by mean and maximum.

    As in an edge convolution (Wang et al. 2018, arXiv 1801.07829, section 3.1). Without it, attention has
    to learn from nothing how to find what is near.

    Args:
        channels: of the points, the first three being x, y, z.
        width: of the feature.
        k: how many of the nearest points are looked at, fewer in a cloud that has fewer.
    """

    def __init__(self, channels: int, width: int, k: int, hidden: int = 64) -> None:
        super().__init__()
        self.k = k
        self.inner = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.outer = nn.Linear(2 * hidden, width)

    def reset(self) -> None:
        """Fresh weights. The feature is zero at first, so that a trained network can be given one."""
        for layer in (self.inner[0], self.inner[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        nn.init.zeros_(self.outer.weight)

    def forward(self, points: Float[Tensor, "n p c"]) -> Float[Tensor, "n p width"]:
        """Points (N, P, C) -> features (N, P, width); zeros for a point that is alone."""
        if points.shape[1] < 2:
            return points.new_zeros(*points.shape[:2], self.outer.out_features)
        if _is_guided_pair(points):
            return self._features(points[: len(points) // 2]).repeat(2, 1, 1)
        return self._features(points)

    def _features(self, points: Float[Tensor, "n p c"]) -> Float[Tensor, "n p width"]:
        hidden = self.inner(offsets(points, self.k) * OFFSET_SCALE)
        return self.outer(torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=-1))


def _is_guided_pair(points: Tensor) -> bool:
    """Whether both halves of a batch are the same points. Not checked on a GPU, which the check would stall."""
    if torch.is_grad_enabled() or points.device.type != "cpu" or len(points) % 2:
        return False
    half = len(points) // 2
    return torch.equal(points[:half], points[half:])


@torch.no_grad()
def offsets(points: Float[Tensor, "n p c"], k: int) -> Float32[Tensor, "n p near c"]:
    """Offsets in all channels from each point to the k nearest others, nearest first.

    Args:
        points: (N, P, C), near in the first three channels; P > 1.

    Returns:
        (N, P, min(k, P - 1), C) float32.
    """
    points = points.float()
    xyz = points[..., :3]
    # Not by a matrix product: its rounding depends on the batch, and could choose other neighbors in another.
    distance = (xyz[:, :, None] - xyz[:, None]).square().sum(dim=-1)
    n, size, channels = points.shape
    index = distance.topk(min(k + 1, size), dim=-1, largest=False).indices[..., 1:]
    near = points.gather(1, index.reshape(n, -1, 1).expand(-1, -1, channels)).reshape(*index.shape, channels)
    return near - points[:, :, None]
