"""The signed-distance network of Point-E (arXiv 2212.08751, section 4.4 and appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from enpointe.nn.blocks import KeysValues, Perceiver, Transformer, init_weights
from enpointe.nn.network import NetworkConfig, network


@network
@dataclass(frozen=True)
class SDFConfig(NetworkConfig):
    """Arguments of `SDFTransformer`."""

    kind: ClassVar[str] = "sdf"
    width: int
    encoder_layers: int
    encoder_heads: int
    decoder_layers: int
    decoder_heads: int

    def build(self) -> SDFTransformer:
        return SDFTransformer(**vars(self))


class SDFTransformer(nn.Module):
    """A cloud is encoded once; any number of queries is then decoded against it.

    Args:
        width: of both transformers.
        encoder_layers, encoder_heads, decoder_layers, decoder_heads: their sizes.
    """

    def __init__(
        self,
        *,
        width: int,
        encoder_layers: int,
        encoder_heads: int,
        decoder_layers: int,
        decoder_heads: int,
    ) -> None:
        super().__init__()
        self.encoder_input_proj = nn.Linear(3, width)
        self.encoder = Transformer(width, encoder_layers, encoder_heads)
        self.decoder_input_proj = nn.Linear(3, width)
        self.decoder = Perceiver(width, decoder_layers, decoder_heads)
        self.ln_post = nn.LayerNorm(width)
        self.output_proj = nn.Linear(width, 1)
        init_weights(self, width)

    def encode(self, points: Float[Tensor, "n 3 p"]) -> Float[Tensor, "n p width"]:
        """Clouds (N, 3, P) in the unit frame -> latents (N, P, width)."""
        return self.encoder(self.encoder_input_proj(points.transpose(1, 2)))

    def prepare(self, latents: Float[Tensor, "n p width"]) -> list[KeysValues]:
        """What the decoder makes of latents (N, P, width), for many calls of `decode`."""
        return self.decoder.prepare(latents)

    def decode(
        self, latents: Float[Tensor, "n p width"] | Sequence[KeysValues], queries: Float[Tensor, "n 3 q"]
    ) -> Float[Tensor, "n q"]:
        """Signed distances (N, Q), positive inside.

        Args:
            latents: (N, P, width), from `encode`; or what `prepare` made of them.
            queries: (N, 3, Q).
        """
        h = self.decoder(self.decoder_input_proj(queries.transpose(1, 2)), latents)
        return self.output_proj(self.ln_post(h)).squeeze(-1)

    def forward(self, points: Float[Tensor, "n 3 p"], queries: Float[Tensor, "n 3 q"]) -> Float[Tensor, "n q"]:
        """Clouds (N, 3, P) and queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        return self.decode(self.encode(points), queries)
