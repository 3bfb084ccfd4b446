"""The point diffusion transformer of Point-E (arXiv 2212.08751, section 4.1), with any set of conditions.

One class serves the released base and upsampling networks and the embedded ones; they differ only
in which conditions a `PointTransformer` was built with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from enpointe.errors import InputError
from enpointe.nn.blocks import MLP, Transformer, init_weights, position_features, time_features


class PointTransformer(nn.Module):
    """Predicts noise or velocity for every point of a noisy cloud.

    Args:
        width, layers, heads: of the transformer.
        input_channels, output_channels: per point (6: x, y, z, R, G, B; 12 out with learned variance).
        time_as_token: the time enters as a token of its own; otherwise it is added to every point.
        vector: width of a pooled condition vector, 0 for none; it is multiplied by sqrt(its width).
        vector_as_token: whether it enters as a token or is added to every point.
        grids: (name, channels) of each condition that is a set of tokens, such as a picture's latent
            grid or a text's token states; layer-normed over the channels, then projected.
        low_res: whether coarse points are a condition (the upsampler).
        channel_scales, channel_biases: what brings `low_res` from world units to about [-1, 1].
        position_bands: frequencies of the sine features of positions, 0 for none.

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
        init_weights(self, width)
        nn.init.zeros_(self.output_proj.weight)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        *,
        vector: Tensor | None = None,
        grids: Mapping[str, Tensor] | None = None,
        low_res: Tensor | None = None,
    ) -> Tensor:
        """One evaluation.

        Args:
            x: noisy points (N, input_channels, P), data at about unit scale.
            t: times (N,).
            vector: (N, vector); absent means zeros, the unconditional input.
            grids: name -> (N, channels, L); an absent grid adds no tokens. Zeros are the
                unconditional input.
            low_res: coarse points (N, C, K) in world units, C the number of channel_scales.

        Returns:
            (N, output_channels, P).

        Raises:
            InputError: a condition that the network was not built with, or no low_res where it needs them.
        """
        added, tokens = self._conditions(t, vector, grids or {}, low_res)
        h = self.input_proj(self._point_features(x.transpose(1, 2)))
        for extra in added:
            h = h + extra[:, None]
        n_points = h.shape[1]
        h = torch.cat([*(token.to(h.dtype) for token in tokens), h], dim=1)
        h = self.backbone(self.ln_pre(h))
        return self.output_proj(self.ln_post(h[:, -n_points:])).transpose(1, 2)

    def _conditions(
        self, t: Tensor, vector: Tensor | None, grids: Mapping[str, Tensor], low_res: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What is added to every point (N, width), and the tokens in front (N, L, width)."""
        self._check_conditions(vector, grids, low_res)
        added: list[Tensor] = []
        tokens: list[Tensor] = []
        if self.vector_embed is not None:
            size = self.vector_embed.in_features
            if vector is None:
                vector = self.vector_embed.weight.new_zeros(len(t), size)
            embedded = self.vector_embed(vector * math.sqrt(size))
            if self.vector_as_token:
                tokens.append(embedded[:, None])
            else:
                added.append(embedded)
        time = self.time_embed(time_features(t, self.width).to(self.input_proj.weight.dtype))
        if self.time_as_token:
            tokens.append(time[:, None])
        else:
            added.append(time)
        tokens.extend(embed(grids[name].transpose(1, 2)) for name, embed in self.grid_embed.items() if name in grids)
        if self.cond_point_proj is not None:
            assert low_res is not None
            scaled = low_res * self.channel_scales[:, None] + self.channel_biases[:, None]
            tokens.append(self.cond_point_proj(self._point_features(scaled.transpose(1, 2))))
        return added, tokens

    def _check_conditions(self, vector: Tensor | None, grids: Mapping[str, Tensor], low_res: Tensor | None) -> None:
        """What a network would leave unused must not look as if it had been followed."""
        unknown = [name for name in grids if name not in self.grid_embed]
        if unknown:
            raise InputError(f"grid conditions: expected some of {sorted(self.grid_embed)}, found {unknown}")
        if vector is not None and self.vector_embed is None:
            raise InputError("condition: expected no vector for this network, found one")
        if (low_res is None) != (self.cond_point_proj is None):
            expected, found = ("none", "some") if low_res is not None else ("points (N, C, K)", "none")
            raise InputError(f"low_res of this network: expected {expected}, found {found}")

    def _point_features(self, points: Tensor) -> Tensor:
        """(N, P, C) -> (N, P, C + 6 * position_bands)."""
        if self.position_bands == 0:
            return points
        waves = position_features(points[..., :3], self.position_bands).to(points.dtype)
        return torch.cat([points, waves], dim=-1)
