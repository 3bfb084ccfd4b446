"""Where exactly the points of a cloud lie that is already recognizable: a transformer over windows of neighbors.

At low noise a point's place is decided by its surroundings, so that attention is among neighbors in kd order only; a
few coarse tokens see each other and the text, and tell every region what it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.kd_order import kd_order
from enpointe.nn.modulated import ModulatedBlock, flow_time_features, norm
from enpointe.nn.network import NetworkConfig, network

_CONDITION = 192
_POOLED_SCALE = 8.0
_BANDS = 8
"""Frequencies of the sine features of positions, each twice the one before."""
_LEAF = 8
"""Points that are not ordered among themselves: a window has some of these groups."""


@network
@dataclass(frozen=True)
class DetailConfig(NetworkConfig):
    """Arguments of `Detail`."""

    kind: ClassVar[str] = "detail"
    width: int = 128
    layers: int = 4
    heads: int = 4
    window: int = 64
    coarse_width: int = 192
    coarse_layers: int = 3
    coarse_heads: int = 3
    tokens: int = 32
    text: int = 384

    def build(self) -> Detail:
        return Detail(**vars(self))


class Detail(nn.Module):
    """Predicts the velocity of a rectified flow, noise - x0, for every point of a cloud with little noise.

    Permuting the points permutes the result.

    Args:
        width, layers, heads: of the points' transformer, within windows of `window` points.
        coarse_width, coarse_layers, coarse_heads, tokens: of the coarse tokens', which attend to the text.
        text: width of the text's tokens, of which the first is the pooled text.
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        window: int,
        coarse_width: int,
        coarse_layers: int,
        coarse_heads: int,
        tokens: int,
        text: int,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.input = nn.Linear(6 + 2 * 3 * _BANDS, width)
        self.time = nn.Linear(64, _CONDITION)
        self.pooled = nn.Linear(text, _CONDITION)
        self.text = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, coarse_width))
        self.gather = nn.Linear(width + 6, coarse_width)
        self.place = nn.Parameter(torch.randn(tokens, coarse_width) * 0.5)
        self.coarse = nn.ModuleList(
            ModulatedBlock(coarse_width, coarse_heads, _CONDITION, context=True) for _ in range(coarse_layers)
        )
        self.spread = nn.Linear(coarse_width, width)
        self.fine = nn.ModuleList(
            ModulatedBlock(width, heads, _CONDITION, expansion=3, window=window, shifted=i % 2 == 1)
            for i in range(layers)
        )
        self.output = nn.Linear(width, 6)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, x: Float[Tensor, "n 6 p"], t: Float[Tensor, " n"], *, grids: Mapping[str, Float[Tensor, "n c l"]]
    ) -> Float[Tensor, "n 6 p"]:
        """The velocity at x_t = (1 - t) x0 + t noise.

        Args:
            x: (N, 6, P) in any order; P is a power of two, at least a window and a point for each token.
            t: (N,), above 0 and below 1.
            grids: "text" (N, text, L); zeros for none.

        Raises:
            InputError: another number of points.
        """
        order = kd_order(x[:, :3], _LEAF)[:, None].expand(-1, 6, -1)
        ordered = x.gather(2, order).transpose(1, 2)
        text = grids["text"].transpose(1, 2)
        condition = F.silu(F.silu(self.time(flow_time_features(t))) + self.pooled(text[:, 0] * _POOLED_SCALE))[:, None]
        context = self.text(text)
        h = self.fine[0](self.input(torch.cat([ordered, _waves(ordered[..., :3])], -1)), condition)
        regions = torch.cat([h, ordered.to(h.dtype)], -1).unflatten(1, (self.tokens, -1)).mean(2)
        coarse = self.gather(regions) + self.place
        for block in self.coarse:
            coarse = block(coarse, condition, context)
        h = (h.unflatten(1, (self.tokens, -1)) + self.spread(norm(coarse))[:, :, None]).flatten(1, 2)
        for block in self.fine[1:]:
            h = block(h, condition)
        velocity = self.output(norm(h)).transpose(1, 2)
        return torch.empty_like(velocity).scatter_(2, order, velocity)


def _waves(positions: Float[Tensor, "n p 3"]) -> Float[Tensor, "n p waves"]:
    """Sine features of positions in about [-1, 1]."""
    angles = positions[..., None] * (math.pi / 2 * 2.0 ** torch.arange(_BANDS, device=positions.device))
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
