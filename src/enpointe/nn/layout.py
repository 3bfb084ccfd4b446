"""What an object looks like, in a few dozen tokens: a diffusion transformer over ordered clouds.

In kd order (see `kd_order`) a cloud of 1,024 points is an array, and one of its tokens is some dozens of neighboring
points. Which object it is, in which pose and colors, is learned over these few tokens at a thirtieth of what a
transformer over points costs; where exactly a point lies is left to `detail`. Ordered clouds have precedents:
GaussianCube (arXiv 2403.19655), Not-So-Optimal Transport Flows (arXiv 2502.12456).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.modulated import ModulatedBlock, flow_time_features, norm
from enpointe.nn.network import NetworkConfig, network

_CONDITION = 256
_POOLED_SCALE = 8.0
"""A pooled text vector has unit length: its entries are brought to a size of about 0.4."""


@network
@dataclass(frozen=True)
class LayoutConfig(NetworkConfig):
    """Arguments of `Layout`."""

    kind: ClassVar[str] = "layout"
    width: int = 256
    layers: int = 8
    heads: int = 4
    tokens: int = 32
    n_points: int = 1024
    text: int = 384

    def build(self) -> Layout:
        return Layout(**vars(self))


class Layout(nn.Module):
    """Predicts the velocity of a rectified flow, noise - x0, for every point of an ordered cloud.

    Args:
        width, layers, heads: of the transformer; every other layer attends to the text.
        tokens: how many the cloud becomes.
        n_points: of a cloud, a multiple of `tokens`.
        text: width of the text's tokens, of which the first is the pooled text.

    Raises:
        InputError: points that do not divide into tokens.
    """

    def __init__(self, *, width: int, layers: int, heads: int, tokens: int, n_points: int, text: int) -> None:
        super().__init__()
        if n_points % tokens:
            raise InputError(f"layout: expected a multiple of {tokens} tokens as n_points, found {n_points}")
        self.n_points, self.tokens = n_points, tokens
        channels = n_points // tokens * 6
        self.input = nn.Linear(channels, width)
        self.place = nn.Parameter(torch.randn(tokens, width) * 0.5)
        self.time = nn.Linear(64, width)
        self.pooled = nn.Linear(text, width)
        self.condition = nn.Linear(width, _CONDITION)
        self.text = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, width))
        self.blocks = nn.ModuleList(ModulatedBlock(width, heads, _CONDITION, context=i % 2 == 0) for i in range(layers))
        self.last_modulation = nn.Linear(_CONDITION, 2 * width)
        self.output = nn.Linear(width, channels)
        for layer in (self.last_modulation, self.output):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: Float[Tensor, "n 6 p"], t: Float[Tensor, " n"], *, grids: Mapping[str, Float[Tensor, "n c l"]]
    ) -> Float[Tensor, "n 6 p"]:
        """The velocity at x_t = (1 - t) x0 + t noise.

        Args:
            x: (N, 6, n_points), x0 in kd order.
            t: (N,), above 0 and below 1.
            grids: "text" (N, text, L); zeros for none.
        """
        text = grids["text"].transpose(1, 2)
        pooled = F.silu(self.time(flow_time_features(t))) + self.pooled(text[:, 0] * _POOLED_SCALE)
        condition = F.silu(self.condition(pooled))[:, None]
        context = self.text(text)
        h = self.input(x.transpose(1, 2).reshape(len(x), self.tokens, -1)) + self.place
        for block in self.blocks:
            h = block(h, condition, context)
        scale, shift = self.last_modulation(condition).chunk(2, -1)
        velocity = self.output(norm(h) * (1 + scale) + shift)
        return velocity.reshape(len(x), self.n_points, 6).transpose(1, 2)
