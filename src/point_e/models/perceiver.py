"""The release's cross-attention blocks, module by module under its names."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from enpointe.nn.attention import attention, merge_heads, split_heads

from .checkpoint import checkpoint
from .transformer import MLP, Device, init_linear


class MultiheadCrossAttention(nn.Module):
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
        super().__init__()
        self.n_data = n_data
        self.width = width
        self.heads = heads
        self.data_width = width if data_width is None else data_width
        self.c_q = nn.Linear(width, width, device=device, dtype=dtype)
        self.c_kv = nn.Linear(self.data_width, 2 * width, device=device, dtype=dtype)
        self.c_proj = nn.Linear(width, width, device=device, dtype=dtype)
        self.attention = QKVMultiheadCrossAttention(device=device, dtype=dtype, heads=heads, n_data=n_data)
        for layer in (self.c_q, self.c_kv, self.c_proj):
            init_linear(layer, init_scale)

    def forward(self, x: Tensor, data: Tensor) -> Tensor:
        # False: see `MultiheadAttention`.
        return self.c_proj(checkpoint(self.attention, (self.c_q(x), self.c_kv(data)), (), False))


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


class ResidualCrossAttentionBlock(nn.Module):
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
        super().__init__()
        self.attn = MultiheadCrossAttention(
            device=device,
            dtype=dtype,
            n_data=n_data,
            width=width,
            heads=heads,
            data_width=data_width,
            init_scale=init_scale,
        )
        self.ln_1 = nn.LayerNorm(width, device=device, dtype=dtype)
        self.ln_2 = nn.LayerNorm(width if data_width is None else data_width, device=device, dtype=dtype)
        self.mlp = MLP(device=device, dtype=dtype, width=width, init_scale=init_scale)
        self.ln_3 = nn.LayerNorm(width, device=device, dtype=dtype)

    def forward(self, x: Tensor, data: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x), self.ln_2(data))
        return x + self.mlp(self.ln_3(x))


class SimplePerceiver(nn.Module):
    """Blocks in a row, in each of which queries (N, Q, width) attend to data (N, K, data_width)."""

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
