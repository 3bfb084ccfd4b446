"""The one attention kernel: every network of the package goes through `attention`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, log_weights: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention.

    PyTorch's fused kernel, except in bfloat16 on a CPU: there the fused kernel runs at float32 speed
    and its backward pass slower still, so that plain products, in blocks whose scores stay in the
    cache, are faster (see benchmarks/attention.py).

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
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if log_weights is not None:
            scores = scores + log_weights[:, None, None].to(scores.dtype)
        return torch.softmax(scores, -1) @ v
    return _in_blocks(q, k, v, log_weights)


_SCORES = 1 << 20
"""In one block, about: 2 MB of them, and as much of weights. Twice or half as many are as fast, the rest is slower."""


def _in_blocks(q: Tensor, k: Tensor, v: Tensor, log_weights: Tensor | None) -> Tensor:
    """Arguments of `attention`; a block is some queries of one head, or all of some heads."""
    n, heads, n_queries, width = q.shape
    n_keys = k.shape[2]
    # Each head's rows side by side: the products would copy them for every block otherwise.
    q, k, v = (x.reshape(n * heads, -1, width).contiguous() for x in (q * width**-0.5, k, v))
    out, keys = torch.empty_like(q), k.transpose(1, 2)
    weighted, bias = slice(0), q
    if log_weights is not None and bool(log_weights.any()):
        # Mostly one key in thousands has a weight: all scores need not be touched for it.
        at = log_weights.any(0).nonzero()
        weighted = slice(int(at[0]), int(at[-1]) + 1)
        bias = log_weights[:, None, weighted].repeat_interleave(heads, 0).to(q.dtype)
    group = min(max(1, _SCORES // (n_queries * n_keys)), n * heads)
    rows = min(n_queries, max(32, 2 * _SCORES // n_keys // 32 * 32)) if group == 1 else n_queries
    held = q.new_empty(2, group * rows * n_keys)
    for h in range(0, n * heads, group):
        for i in range(0, n_queries, rows):
            block = q[h : h + group, i : i + rows]
            shape = (*block.shape[:2], n_keys)
            scores, weights = (x[: math.prod(shape)].view(shape) for x in held)
            torch.bmm(block, keys[h : h + group], out=scores)
            if weighted.stop:
                scores[..., weighted] += bias[h : h + group]
            torch.softmax(scores, -1, out=weights)
            torch.bmm(weights, v[h : h + group], out=out[h : h + group, i : i + rows])
    return out.view(n, heads, n_queries, width)


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
