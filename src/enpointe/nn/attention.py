"""The one attention kernel: every network of the package goes through `attention`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention.

    Args:
        q: (N, heads, Q, head_width).
        k, v: (N, heads, K, head_width).
        mask: optional boolean, broadcast to (N, heads, Q, K); False hides a key.

    Returns:
        (N, heads, Q, head_width).
    """
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


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
