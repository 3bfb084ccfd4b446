"""The release's signed-distance network: its constructor, calls and state-dict keys, around enpointe's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.blocks import init_weights
from enpointe.nn.sdf import SDFTransformer

from .keys import ReleasedKeys


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


class CrossAttentionPointCloudSDFModel(ReleasedKeys, PointCloudSDFModel):
    """A transformer encodes the cloud, queries look at its latents. `network` is enpointe's.

    Args:
        device, dtype: of the weights.
        n_ctx: number of points that it was trained with; not used, any number will do.
        width: of both transformers.
        encoder_layers, encoder_heads, decoder_layers, decoder_heads: their sizes.
        init_scale: of fresh weights.
    """

    network: SDFTransformer

    def __init__(
        self,
        *,
        device: torch.device | str,
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
        self.network = SDFTransformer(
            width=width,
            encoder_layers=encoder_layers,
            encoder_heads=encoder_heads,
            decoder_layers=decoder_layers,
            decoder_heads=decoder_heads,
        )
        init_weights(self.network, width, init_scale)
        self.network.to(device=device, dtype=dtype)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def default_batch_size(self) -> int:
        return 4096

    def encode_point_clouds(self, point_clouds: Tensor) -> dict[str, Tensor]:
        """Clouds (N, 3, P) -> their latents (N, P, width)."""
        return {"latents": self.network.encode(point_clouds)}

    def predict_sdf(self, x: Tensor, encoded: Mapping[str, Tensor]) -> Tensor:
        """Queries (N, 3, Q) -> signed distances (N, Q), positive inside."""
        return self.network.decode(encoded["latents"], x)
