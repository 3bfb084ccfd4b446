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
MAX_VIEWS = 4
"""Images of one object."""


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
    image: int = 0
    image_places: int = 49
    known: int = 0

    def build(self) -> Layout:
        return Layout(**vars(self))


class Layout(nn.Module):
    """Predicts the velocity of a rectified flow, noise - x0, for every point of an ordered cloud.

    Args:
        width, layers, heads: of the transformer; every other layer attends to the text, the rest to images and known
            points where it takes any.
        tokens: how many the cloud becomes.
        n_points: of a cloud, a multiple of `tokens`.
        text: width of the text's tokens, of which the first is the pooled text.
        image: channels of an image's grid of features, 0 for none; image_places: how many places a grid has.
        known: points of a partial cloud, 0 for none, a multiple of n_points / tokens.

    Raises:
        InputError: points that do not divide into tokens.
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        tokens: int,
        n_points: int,
        text: int,
        image: int,
        image_places: int,
        known: int,
    ) -> None:
        super().__init__()
        if n_points % tokens:
            raise InputError(f"layout: expected a multiple of {tokens} tokens as n_points, found {n_points}")
        self.n_points, self.tokens = n_points, tokens
        self.token_points = n_points // tokens
        if known % self.token_points:
            raise InputError(f"layout: expected a multiple of {self.token_points} points as known, found {known}")
        self.n_known = known
        channels = 6 * self.token_points
        self.input = nn.Linear(channels, width)
        self.place = nn.Parameter(torch.randn(tokens, width) * 0.5)
        self.time = nn.Linear(64, width)
        self.pooled = nn.Linear(text, width)
        self.condition = nn.Linear(width, _CONDITION)
        self.text = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, width))
        self.image = ImageTokens(image, image_places, width) if image else None
        self.known = KnownTokens(channels, known // self.token_points, width) if known else None
        more = bool(image or known)
        self.blocks = nn.ModuleList(
            ModulatedBlock(width, heads, _CONDITION, context=more or i % 2 == 0) for i in range(layers)
        )
        self.last_modulation = nn.Linear(_CONDITION, 2 * width)
        self.output = nn.Linear(width, channels)
        for layer in (self.last_modulation, self.output):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for block in self.blocks[1::2]:  # so that it begins as a network of texts alone
            if isinstance(block, ModulatedBlock) and block.context_attention is not None:
                nn.init.zeros_(block.context_attention.out.weight)

    def forward(
        self, x: Float[Tensor, "n 6 p"], t: Float[Tensor, " n"], *, grids: Mapping[str, Float[Tensor, "n c l"]]
    ) -> Float[Tensor, "n 6 p"]:
        """The velocity at x_t = (1 - t) x0 + t noise.

        Args:
            x: (N, 6, n_points), x0 in kd order.
            t: (N,), above 0 and below 1.
            grids: "text" (N, text, L); if it takes them, "image" (N, image, views * image_places), 1 to `MAX_VIEWS`
                views, and "known" (N, 6, known) in kd order. Zeros are none, and so is an absent one but the text.
        """
        text = grids["text"].transpose(1, 2)
        pooled = F.silu(self.time(flow_time_features(t))) + self.pooled(text[:, 0] * _POOLED_SCALE)
        condition = F.silu(self.condition(pooled))[:, None]
        contexts = (self.text(text), self._more(x, grids))
        h = self.input(_tokens(x, self.tokens)) + self.place
        for i, block in enumerate(self.blocks):
            h = block(h, condition, contexts[i % 2])
        scale, shift = self.last_modulation(condition).chunk(2, -1)
        velocity = self.output(norm(h) * (1 + scale) + shift)
        return velocity.reshape(len(x), self.n_points, 6).transpose(1, 2)

    def _more(self, x: Tensor, grids: Mapping[str, Tensor]) -> Tensor | None:
        """The context of images and known points; None where the network takes none."""
        parts = []
        if self.image is not None:
            none = x.new_zeros(len(x), self.image.channels, self.image.places)
            parts.append(self.image(grids.get("image", none)))
        if self.known is not None:
            parts.append(self.known(grids.get("known", x.new_zeros(len(x), 6, self.n_known))))
        return torch.cat(parts, 1) if parts else None


class ImageTokens(nn.Module):
    """Features of views, with where in the image and in which of the views each is."""

    def __init__(self, channels: int, places: int, width: int) -> None:
        super().__init__()
        self.channels, self.places = channels, places
        self.features = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.place = nn.Parameter(torch.randn(places, width) * 0.5)
        self.view = nn.Parameter(torch.randn(MAX_VIEWS, width) * 0.5)

    def forward(self, grid: Float[Tensor, "n c l"]) -> Float[Tensor, "n l width"]:
        tokens = self.features(grid.transpose(1, 2)).unflatten(1, (-1, self.places))
        return (tokens + self.place + self.view[: tokens.shape[1], None]).flatten(1, 2)


class KnownTokens(nn.Module):
    """A partial cloud in kd order, as the cloud itself becomes tokens."""

    def __init__(self, channels: int, tokens: int, width: int) -> None:
        super().__init__()
        self.points = nn.Linear(channels, width)
        self.place = nn.Parameter(torch.randn(tokens, width) * 0.5)

    def forward(self, known: Float[Tensor, "n 6 p"]) -> Float[Tensor, "n l width"]:
        return self.points(_tokens(known, len(self.place))) + self.place


def _tokens(cloud: Float[Tensor, "n 6 p"], tokens: int) -> Float[Tensor, "n {tokens} channels"]:
    """Points in a row, so many to a token."""
    return cloud.transpose(1, 2).reshape(len(cloud), tokens, -1)
