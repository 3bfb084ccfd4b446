"""The one attention kernel: every network of the package goes through `attention`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, log_weights: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention.

    PyTorch's fused kernel, except in bfloat16 on a CPU: there the fused kernel runs at float32 speed
    and its backward pass slower still, so that plain products of blocks of queries, whose scores
    stay in the cache, are several times faster (see benchmarks/attention.py).

    Args:
        q: (N, heads, Q, head_width).
        k, v: (N, heads, K, head_width).
        mask: optional boolean, broadcast to (N, heads, Q, K); False hides a key.
        log_weights: optional (N, K), instead of a mask; a key of log_weight log n counts as n equal keys.

    Returns:
        (N, heads, Q, head_width).
    """
    if q.dtype != torch.bfloat16 or q.device.type != "cpu" or mask is not None:
        bias = mask if log_weights is None else log_weights[:, None, None].to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scaled, keys = q * q.shape[-1] ** -0.5, k.transpose(-1, -2)

    def rows(block: Tensor) -> Tensor:
        scores = block @ keys
        if log_weights is not None:
            scores = scores + log_weights[:, None, None].to(scores.dtype)
        return torch.softmax(scores, -1) @ v

    if q.shape[-2] <= _BLOCK or q.requires_grad:
        return rows(scaled)
    return torch.cat([rows(block) for block in scaled.split(_BLOCK, dim=-2)], dim=-2)


_BLOCK = 256
"""Queries at a time."""


def split_heads(x: Tensor, heads: int, parts: int) -> tuple[Tensor, ...]:
    """(N, L, parts * width) -> `parts` tensors (N, heads, L, head_width).

    Channels are ordered as the release has them: head by head, and within a head part by part.
    """
    n, length, channels = x.shape
    x = x.view(n, length, heads, parts, channels // (heads * parts))
    return torch.unbind(x.permute(3, 0, 2, 1, 4), 0)


def merge_heads(x: Tensor) -> Tensor:
    """(N, heads, L, head_width) -> (N, L, width)."""
    return x.transpose(1, 2).flatten(2)
