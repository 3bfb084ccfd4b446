"""The signed-distance network of Point-E (arXiv 2212.08751, section 4.4 and appendix C)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from enpointe.nn.blocks import KeysValues, Perceiver, Transformer, init_weights, position_features

NEAREST_SCALE = 5.0
"""Brings distances to the nearest points, mostly below 0.2, to about unit size."""


def nearest_offsets(points: Tensor, queries: Tensor, k: int) -> Tensor:
    """Offsets (N, Q, k, 3) from queries (N, 3, Q) to their k nearest of points (N, 3, P), nearest first."""
    clouds, asked = points.transpose(1, 2), queries.transpose(1, 2)
    index = torch.cdist(asked, clouds).topk(k, dim=-1, largest=False).indices
    near = clouds[:, None].expand(-1, asked.shape[1], -1, -1).gather(2, index[..., None].expand(-1, -1, -1, 3))
    return near - asked[:, :, None]


class SDFTransformer(nn.Module):
    """A cloud is encoded once; any number of queries is then decoded against it.

    Args:
        width: of both transformers.
        encoder_layers, encoder_heads, decoder_layers, decoder_heads: their sizes.
        position_bands: frequencies of the sine features of positions, 0 for none (the release).
        nearest: how many of the cloud's nearest points each query is shown, as offsets and distances,
            0 for none (the release). What is left to learn then is mostly the sign.
    """

    def __init__(
        self,
        *,
        width: int,
        encoder_layers: int,
        encoder_heads: int,
        decoder_layers: int,
        decoder_heads: int,
        position_bands: int = 0,
        nearest: int = 0,
    ) -> None:
        super().__init__()
        self.position_bands = position_bands
        self.nearest = nearest
        features = 3 + 6 * position_bands
        self.encoder_input_proj = nn.Linear(features, width)
        self.encoder = Transformer(width, encoder_layers, encoder_heads)
        self.decoder_input_proj = nn.Linear(features + 4 * nearest, width)
        self.decoder = Perceiver(width, decoder_layers, decoder_heads)
        self.ln_post = nn.LayerNorm(width)
        self.output_proj = nn.Linear(width, 1)
        init_weights(self, width)

    def encode(self, points: Tensor) -> Tensor:
        """Clouds (N, 3, P) in the unit frame -> latents (N, P, width)."""
        return self.encoder(self.encoder_input_proj(self._features(points)))

    def prepare(self, latents: Tensor) -> list[KeysValues]:
        """What the decoder makes of latents (N, P, width), for many calls of `decode`."""
        return self.decoder.prepare(latents)

    def decode(self, latents: Tensor | Sequence[KeysValues], queries: Tensor, nearest: Tensor | None = None) -> Tensor:
        """Signed distances (N, Q), positive inside.

        Args:
            latents: (N, P, width), from `encode`; or what `prepare` made of them.
            queries: (N, 3, Q).
            nearest: offsets (N, Q, nearest, 3) from each query to its nearest points, nearest first;
                for a network that was built to see them.
        """
        features = self._features(queries)
        if nearest is not None:
            distance = torch.linalg.vector_norm(nearest, dim=-1, keepdim=True)
            seen = torch.cat([nearest, distance], dim=-1) * NEAREST_SCALE
            features = torch.cat([features, seen.flatten(2).to(features.dtype)], dim=-1)
        h = self.decoder(self.decoder_input_proj(features), latents)
        return self.output_proj(self.ln_post(h)).squeeze(-1)

    def forward(self, points: Tensor, queries: Tensor, nearest: Tensor | None = None) -> Tensor:
        """Clouds (N, 3, P) and queries (N, 3, Q) -> signed distances (N, Q), positive inside.

        Args:
            nearest: as `decode` takes it, where it is known; found otherwise.
        """
        if self.nearest and nearest is None:
            nearest = nearest_offsets(points, queries, self.nearest)
        return self.decode(self.encode(points), queries, nearest)

    def _features(self, points: Tensor) -> Tensor:
        """(N, 3, P) -> (N, P, features)."""
        points = points.transpose(1, 2)
        if self.position_bands == 0:
            return points
        waves = position_features(2 * points, self.position_bands).to(points.dtype)
        return torch.cat([points, waves], dim=-1)
