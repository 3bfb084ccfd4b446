"""The release's cross-attention blocks: its constructors around enpointe.nn.blocks; the same state-dict keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from enpointe.nn import blocks
from enpointe.nn.attention import attention, merge_heads, split_heads

from .blocks import Device, drawn


class QKVMultiheadCrossAttention(nn.Module):
    """Attention of queries to keys and values that lie in one tensor. Has no weights; n_data is not used."""

    def __init__(self, *, device: Device, dtype: torch.dtype, heads: int, n_data: int) -> None:
        super().__init__()
        self.device = device
        self.dtype = dtype
        self.heads = heads
        self.n_data = n_data

    def forward(self, q: Tensor, kv: Tensor) -> Tensor:
        """(N, Q, width) and (N, K, 2 width) -> (N, Q, width); channels head by head, and within a head k, v."""
        (queries,) = split_heads(q, self.heads, 1)
        return merge_heads(attention(queries, *split_heads(kv, self.heads, 2)))


class MultiheadCrossAttention(blocks.CrossAttention):
    """Queries (N, Q, width) and data (N, K, data_width) -> (N, Q, width). n_data is not used."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_data: int,
        width: int,
        heads: int,
        init_scale: float,
        data_width: int | None = None,
    ) -> None:
        super().__init__(width, heads)
        self.n_data = n_data
        self.width = width
        self.data_width = data_width or width
        self.c_kv = nn.Linear(self.data_width, 2 * width)
        drawn(self, init_scale, device, dtype)

    # The release's call takes the data themselves.
    def forward(self, x: Tensor, data: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, self.keys_values(data))


class ResidualCrossAttentionBlock(blocks.CrossAttentionBlock):
    """Queries (N, Q, width) and data (N, K, data_width) -> (N, Q, width). n_data is not used."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_data: int,
        width: int,
        heads: int,
        data_width: int | None = None,
        init_scale: float = 1.0,
    ) -> None:
        super().__init__(width, heads)
        self.attn = MultiheadCrossAttention(
            device=device,
            dtype=dtype,
            n_data=n_data,
            width=width,
            heads=heads,
            init_scale=init_scale,
            data_width=data_width,
        )
        self.ln_2 = nn.LayerNorm(data_width or width)
        drawn(self, init_scale, device, dtype)

    # The release's call takes the data themselves.
    def forward(self, x: Tensor, data: Tensor) -> Tensor:  # type: ignore[override]
        x = x + self.attn(self.ln_1(x), self.ln_2(data))
        return x + self.mlp(self.ln_3(x))


class SimplePerceiver(nn.Module):
    """Blocks in a row, in each of which queries (N, Q, width) look at data (N, K, data_width)."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_data: int,
        width: int,
        layers: int,
        heads: int,
        init_scale: float = 0.25,
        data_width: int | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.layers = layers
        self.resblocks = nn.ModuleList(
            ResidualCrossAttentionBlock(
                device=device,
                dtype=dtype,
                n_data=n_data,
                width=width,
                heads=heads,
                data_width=data_width,
                init_scale=init_scale / math.sqrt(width),
            )
            for _ in range(layers)
        )

    def forward(self, x: Tensor, data: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x, data)
        return x
