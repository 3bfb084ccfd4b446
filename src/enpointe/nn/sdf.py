"""The signed-distance network of Point-E (arXiv 2212.08751, section 4.4 and appendix C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enpointe.nn.blocks import Perceiver, Transformer, init_weights, position_features


class SDFTransformer(nn.Module):
    """A cloud is encoded once; any number of queries is then decoded against it.

    Args:
        width: of both transformers.
        encoder_layers, encoder_heads, decoder_layers, decoder_heads: their sizes.
        position_bands: frequencies of the sine features of positions, 0 for none (the release).
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
    ) -> None:
        super().__init__()
        self.position_bands = position_bands
        features = 3 + 6 * position_bands
        self.encoder_input_proj = nn.Linear(features, width)
        self.encoder = Transformer(width, encoder_layers, encoder_heads)
        self.decoder_input_proj = nn.Linear(features, width)
        self.decoder = Perceiver(width, decoder_layers, decoder_heads)
        self.ln_post = nn.LayerNorm(width)
        self.output_proj = nn.Linear(width, 1)
        init_weights(self, width)

    def encode(self, points: Tensor) -> Tensor:
        """Clouds (N, 3, P) in the unit frame -> latents (N, P, width)."""
        return self.encoder(self.encoder_input_proj(self._features(points)))

    def decode(self, latents: Tensor, queries: Tensor) -> Tensor:
        """Latents (N, P, width) and queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        h = self.decoder(self.decoder_input_proj(self._features(queries)), latents)
        return self.output_proj(self.ln_post(h)).squeeze(-1)

    def forward(self, points: Tensor, queries: Tensor) -> Tensor:
        """Clouds (N, 3, P) and queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        return self.decode(self.encode(points), queries)

    def _features(self, points: Tensor) -> Tensor:
        """(N, 3, P) -> (N, P, features)."""
        points = points.transpose(1, 2)
        if self.position_bands == 0:
            return points
        waves = position_features(2 * points, self.position_bands).to(points.dtype)
        return torch.cat([points, waves], dim=-1)
