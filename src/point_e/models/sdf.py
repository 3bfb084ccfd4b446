"""The release's signed-distance network, module by module under its names."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError

from .perceiver import SimplePerceiver
from .transformer import Device, Transformer


class PointCloudSDFModel(nn.Module):
    """What `marching_cubes_mesh` asks: a cloud is encoded once, then queried at any places."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where inputs are expected."""

    @property
    @abstractmethod
    def default_batch_size(self) -> int:
        """A reasonable number of queries at a time."""

    @abstractmethod
    def encode_point_clouds(self, point_clouds: Tensor) -> dict[str, Tensor]:
        """Clouds (N, 3, P) -> what `predict_sdf` needs of them."""

    @abstractmethod
    def predict_sdf(self, x: Tensor, encoded: Mapping[str, Tensor]) -> Tensor:
        """Queries (N, 3, Q) -> signed distances (N, Q), positive inside."""

    def forward(
        self, x: Tensor, point_clouds: Tensor | None = None, encoded: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Queries (N, 3, Q), and clouds (N, 3, P) or what became of them -> signed distances (N, Q)."""
        if point_clouds is None and encoded is not None:
            return self.predict_sdf(x, encoded)
        if point_clouds is None or encoded is not None:
            raise InputError(
                f"clouds: expected point_clouds or encoded, found {'neither' if encoded is None else 'both'}"
            )
        return self.predict_sdf(x, self.encode_point_clouds(point_clouds))


class CrossAttentionPointCloudSDFModel(PointCloudSDFModel):
    """A transformer encodes the cloud, queries attend to its latents.

    Args:
        device, dtype: of the weights.
        n_ctx: number of points that it was trained with; not used, any number will do.
        width: of both transformers.
        encoder_layers, encoder_heads, decoder_layers, decoder_heads: their sizes.
        init_scale: of fresh weights.
    """

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int = 4096,
        width: int = 512,
        encoder_layers: int = 12,
        encoder_heads: int = 8,
        decoder_layers: int = 4,
        decoder_heads: int = 8,
        init_scale: float = 0.25,
    ) -> None:
        super().__init__()
        self.n_ctx = n_ctx
        self.encoder_input_proj = nn.Linear(3, width, device=device, dtype=dtype)
        self.encoder = Transformer(
            device=device,
            dtype=dtype,
            n_ctx=n_ctx,
            width=width,
            layers=encoder_layers,
            heads=encoder_heads,
            init_scale=init_scale,
        )
        self.decoder_input_proj = nn.Linear(3, width, device=device, dtype=dtype)
        self.decoder = SimplePerceiver(
            device=device,
            dtype=dtype,
            n_data=n_ctx,
            width=width,
            layers=decoder_layers,
            heads=decoder_heads,
            init_scale=init_scale,
        )
        self.ln_post = nn.LayerNorm(width, device=device, dtype=dtype)
        self.output_proj = nn.Linear(width, 1, device=device, dtype=dtype)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def default_batch_size(self) -> int:
        return 4096

    def encode_point_clouds(self, point_clouds: Tensor) -> dict[str, Tensor]:
        """Clouds (N, 3, P) -> their latents (N, P, width)."""
        return {"latents": self.encoder(self.encoder_input_proj(point_clouds.permute(0, 2, 1)))}

    def predict_sdf(self, x: Tensor, encoded: Mapping[str, Tensor]) -> Tensor:
        """Queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        h = self.decoder(self.decoder_input_proj(x.permute(0, 2, 1)), encoded["latents"])
        return self.output_proj(self.ln_post(h)).squeeze(-1)
