"""The release's building blocks: its constructors around enpointe.nn.blocks, whose state dicts have the same keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from enpointe.nn import blocks
from enpointe.nn.attention import attention, merge_heads, split_heads

Device = torch.device | str


def init_linear(l: nn.Linear, stddev: float) -> None:  # noqa: E741 - the release's name
    """Normal weights of a standard deviation, zero biases."""
    nn.init.normal_(l.weight, std=stddev)
    if l.bias is not None:
        nn.init.zeros_(l.bias)


def drawn(module: nn.Module, stddev: float, device: Device, dtype: torch.dtype) -> None:
    """Fresh weights in all linear layers of a module, which goes to a device and a type."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            init_linear(layer, stddev)
    module.to(device=device, dtype=dtype)


class MLP(blocks.MLP):
    """(..., width) -> (..., width). init_scale: standard deviation of fresh weights."""

    def __init__(self, *, device: Device, dtype: torch.dtype, width: int, init_scale: float) -> None:
        super().__init__(width)
        self.width = width
        drawn(self, init_scale, device, dtype)


class QKVMultiheadAttention(nn.Module):
    """Attention of queries, keys and values that lie in one tensor. Has no weights; n_ctx is not used."""

    def __init__(self, *, device: Device, dtype: torch.dtype, heads: int, n_ctx: int) -> None:
        super().__init__()
        self.device = device
        self.dtype = dtype
        self.heads = heads
        self.n_ctx = n_ctx

    def forward(self, qkv: Tensor) -> Tensor:
        """(N, L, 3 width) -> (N, L, width); channels head by head, and within a head q, k, v."""
        q, k, v = split_heads(qkv, self.heads, 3)
        return merge_heads(attention(q, k, v))


class MultiheadAttention(blocks.SelfAttention):
    """(N, L, width) -> (N, L, width). n_ctx is not used."""

    def __init__(
        self, *, device: Device, dtype: torch.dtype, n_ctx: int, width: int, heads: int, init_scale: float
    ) -> None:
        super().__init__(width, heads)
        self.n_ctx = n_ctx
        self.width = width
        drawn(self, init_scale, device, dtype)


class ResidualAttentionBlock(blocks.SelfAttentionBlock):
    """(N, L, width) -> (N, L, width). n_ctx is not used."""

    def __init__(
        self, *, device: Device, dtype: torch.dtype, n_ctx: int, width: int, heads: int, init_scale: float = 1.0
    ) -> None:
        _ = n_ctx
        super().__init__(width, heads)
        drawn(self, init_scale, device, dtype)


class Transformer(blocks.Transformer):
    """(N, L, width) -> (N, L, width). init_scale: of fresh weights, before it is divided by sqrt(width)."""

    def __init__(
        self,
        *,
        device: Device,
        dtype: torch.dtype,
        n_ctx: int,
        width: int,
        layers: int,
        heads: int,
        init_scale: float = 0.25,
    ) -> None:
        super().__init__(width, layers, heads)
        self.n_ctx = n_ctx
        self.width = width
        self.layers = layers
        drawn(self, init_scale / math.sqrt(width), device, dtype)
