"""The point diffusion transformer of Point-E (arXiv 2212.08751, section 4.1), with any set of conditions.

One class serves the released base and upsampling networks and the embedded ones; they differ only
in which conditions a `PointTransformer` was built with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.blocks import MLP, Transformer, init_weights, position_features, time_features
from enpointe.nn.neighbourhood import Neighbourhood
from enpointe.nn.network import NetworkConfig, network


@network
@dataclass(frozen=True)
class PointTransformerConfig(NetworkConfig):
    """Arguments of `PointTransformer`."""

    kind: ClassVar[str] = "point_transformer"
    width: int
    layers: int
    heads: int
    input_channels: int = 6
    output_channels: int = 12
    time_as_token: bool = True
    vector: int = 0
    vector_as_token: bool = False
    grids: tuple[tuple[str, int], ...] = ()
    low_res: bool = False
    channel_scales: tuple[float, ...] = (1.0,) * 6
    channel_biases: tuple[float, ...] = (0.0,) * 6
    position_bands: int = 0
    neighbours: int = 0

    def build(self) -> PointTransformer:
        return PointTransformer(**vars(self))


class PointTransformer(nn.Module):
    """Predicts noise or velocity for every point of a noisy cloud.

    Args:
        width, layers, heads: of the transformer.
        input_channels, output_channels: per point (6: x, y, z, R, G, B; 12 out with learned variance).
        time_as_token: the time enters as a token of its own; otherwise it is added to every point.
        vector: width of a pooled condition vector, 0 for none; it is multiplied by sqrt(its width).
        vector_as_token: whether it enters as a token or is added to every point.
        grids: (name, channels) of each condition that is a set of tokens, such as an image's latent
            grid or a text's token states; layer-normed over the channels, then projected.
        low_res: whether coarse points are a condition (the upsampler).
        channel_scales, channel_biases: what brings `low_res` from world units to about [-1, 1].
        position_bands: frequencies of the sine features of positions, 0 for none.
        neighbors: how many of its nearest points each point sees, 0 for none (the release).

    Order of the tokens in front of the points: vector, time, grids in order, low-res points.
    """

    channel_scales: Tensor
    channel_biases: Tensor

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        input_channels: int = 6,
        output_channels: int = 12,
        time_as_token: bool = True,
        vector: int = 0,
        vector_as_token: bool = False,
        grids: Sequence[tuple[str, int]] = (),
        low_res: bool = False,
        channel_scales: Sequence[float] = (1.0,) * 6,
        channel_biases: Sequence[float] = (0.0,) * 6,
        position_bands: int = 0,
        neighbours: int = 0,
    ) -> None:
        super().__init__()
        self.width = width
        self.time_as_token = time_as_token
        self.vector_as_token = vector_as_token
        self.position_bands = position_bands
        waves = 6 * position_bands
        self.time_embed = MLP(width)
        self.ln_pre = nn.LayerNorm(width)
        self.backbone = Transformer(width, layers, heads)
        self.ln_post = nn.LayerNorm(width)
        self.input_proj = nn.Linear(input_channels + waves, width)
        self.output_proj = nn.Linear(width, output_channels)
        self.vector_embed = nn.Linear(vector, width) if vector else None
        self.grid_embed = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width)) for name, channels in grids}
        )
        self.cond_point_proj = nn.Linear(len(channel_scales) + waves, width) if low_res else None
        if low_res:
            self.register_buffer("channel_scales", torch.tensor(channel_scales))
            self.register_buffer("channel_biases", torch.tensor(channel_biases))
        self.neighbourhood = Neighbourhood(input_channels, width, neighbours) if neighbours else None
        init_weights(self, width)
        nn.init.zeros_(self.output_proj.weight)
        if self.neighbourhood is not None:
            self.neighbourhood.reset()

    def forward(
        self,
        x: Float[Tensor, "n c p"],
        t: Shaped[Tensor, " n"],
        *,
        vector: Float[Tensor, "n vector"] | None = None,
        grids: Mapping[str, Tensor] | None = None,
        low_res: Float[Tensor, "n points k"] | None = None,
        prepared: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "n outputs p"]:
        """One evaluation.

        Args:
            x: noisy points (N, input_channels, P), data at about unit scale.
            t: times (N,).
            vector: (N, vector); absent means zeros, the unconditional input.
            grids: name -> (N, channels, L); an absent grid adds no tokens. Zeros are the
                unconditional input.
            low_res: coarse points (N, C, K) in world units, C the number of channel_scales.
            prepared: instead of vector, grids and low_res, what `prepare` made of them.

        Returns:
            (N, output_channels, P).

        Raises:
            InputError: a condition that the network was not built with, or no low_res where it needs them.
        """
        if prepared is None:
            vector_token, tokens = self._embed(len(t), vector, grids or {}, low_res)
            log_counts = None
        else:
            if vector is not None or grids is not None or low_res is not None:
                raise InputError("conditions: expected prepared ones or others, found both")
            vector_token, log_counts = prepared.get("vector"), prepared.get("log_counts")
            tokens = [prepared["tokens"]] if "tokens" in prepared else []
        time = self.time_embed(time_features(t, self.width).to(self.input_proj.weight.dtype))
        h = self.input_proj(self._point_features(x.transpose(1, 2)))
        if self.neighbourhood is not None:
            h = h + self.neighbourhood(x.transpose(1, 2))
        n_points = h.shape[1]
        front: list[Tensor] = []
        for extra, is_token in ((vector_token, self.vector_as_token), (time, self.time_as_token)):
            if extra is None:
                continue
            if is_token:
                front.append(extra[:, None])
            else:
                h = h + extra[:, None]
        h = torch.cat([*(token.to(h.dtype) for token in (*front, *tokens)), h], dim=1)
        log_weights = None if log_counts is None else F.pad(log_counts, (len(front), n_points))
        h = self.backbone(self.ln_pre(h), log_weights, first=h.shape[1] - n_points)
        return self.output_proj(self.ln_post(h)).transpose(1, 2)

    def prepare(
        self,
        n_samples: int,
        *,
        vector: Tensor | None = None,
        grids: Mapping[str, Tensor] | None = None,
        low_res: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The conditions' tokens, for many evaluations under the same conditions: `forward`'s `prepared`.

        A grid whose columns are all the same, such as the zeros of an absent image, becomes one token that
        counts as many. Its copies are alike in every layer, so that this changes rounding only.

        Args:
            n_samples: N.
            vector, grids, low_res: as `forward` takes them.

        Returns:
            of those that there are: "vector" (N, width), "tokens" (N, L, width), and "log_counts" (N, L),
            the logarithm of how many tokens each stands for, where some stand for more than one.
        """
        grids = grids or {}
        short = {name: grid[..., :1] if _all_alike(grid) else grid for name, grid in grids.items()}
        embedded, tokens = self._embed(n_samples, vector, short, low_res)
        prepared: dict[str, Tensor] = {}
        if embedded is not None:
            prepared["vector"] = embedded
        if tokens:
            prepared["tokens"] = torch.cat(tokens, dim=1)
        counts: list[float] = []
        for name in self.grid_embed:
            if name in short:
                length = short[name].shape[2]
                counts += [grids[name].shape[2] / length] * length
        if any(count > 1 for count in counts):
            logs = F.pad(torch.tensor(counts).log(), (0, prepared["tokens"].shape[1] - len(counts)))
            prepared["log_counts"] = logs.to(prepared["tokens"].device).expand(n_samples, -1)
        return prepared

    def _embed(
        self, n_samples: int, vector: Tensor | None, grids: Mapping[str, Tensor], low_res: Tensor | None
    ) -> tuple[Tensor | None, list[Tensor]]:
        """The vector (N, width), and the tokens of grids and low-res points (N, L, width)."""
        self._check_conditions(vector, grids, low_res)
        dtype = self.input_proj.weight.dtype
        embedded = None
        if self.vector_embed is not None:
            size = self.vector_embed.in_features
            if vector is None:
                vector = self.vector_embed.weight.new_zeros(n_samples, size)
            embedded = self.vector_embed(vector * math.sqrt(size))
        tokens = [
            embed(grids[name].transpose(1, 2).to(dtype)) for name, embed in self.grid_embed.items() if name in grids
        ]
        if self.cond_point_proj is not None:
            assert low_res is not None
            scaled = low_res * self.channel_scales[:, None] + self.channel_biases[:, None]
            tokens.append(self.cond_point_proj(self._point_features(scaled.transpose(1, 2))))
        return embedded, tokens

    def _check_conditions(self, vector: Tensor | None, grids: Mapping[str, Tensor], low_res: Tensor | None) -> None:
        """InputError for a condition that the network would ignore, and for one that it lacks."""
        unknown = [name for name in grids if name not in self.grid_embed]
        if unknown:
            raise InputError(f"grid conditions: expected some of {sorted(self.grid_embed)}, found {unknown}")
        if vector is not None and self.vector_embed is None:
            raise InputError("condition: expected no vector for this network, found one")
        if (low_res is None) != (self.cond_point_proj is None):
            expected, found = ("none", "some") if low_res is not None else ("points (N, C, K)", "none")
            raise InputError(f"low_res of this network: expected {expected}, found {found}")

    def _point_features(self, points: Float[Tensor, "n p c"]) -> Float[Tensor, "n p features"]:
        """(N, P, C) -> (N, P, C + 6 * position_bands)."""
        if self.position_bands == 0:
            return points
        waves = position_features(points[..., :3], self.position_bands).to(points.dtype)
        return torch.cat([points, waves], dim=-1)


def _all_alike(grid: Tensor) -> bool:
    """Whether every sample of a grid (N, channels, L) has the same column L > 1 times."""
    return grid.shape[2] > 1 and bool((grid == grid[..., :1]).all())
