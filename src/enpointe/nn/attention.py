"""The one attention kernel: every network of the package goes through `attention`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def attention(
    q: Float[Tensor, "n heads q w"],
    k: Float[Tensor, "n heads k w"],
    v: Float[Tensor, "n heads k w"],
    mask: Bool[Tensor, "*#scores"] | None = None,
    log_weights: Float[Tensor, "n k"] | None = None,
) -> Float[Tensor, "n heads q w"]:
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
"""In one block, about: 2 MB of them. Twice or half as many are as fast, the rest is slower."""

_LOG2_E = math.log2(math.e)

_SAFE = 100.0
"""Below that, in powers of two, no sum of weights times values overflows (at 128), and no weight underflows."""

_MIN_KEYS = 512
"""With fewer, softmax is as fast."""

_PARTS = 4
"""Of a row of weights, summed apart: each sum is rounded to bfloat16, and the roundings mostly cancel out."""


def _in_blocks(q: Tensor, k: Tensor, v: Tensor, log_weights: Tensor | None) -> Tensor:
    """Arguments of `attention`; a block is some queries of one head, or all of some heads.

    Weights are 2^score, not divided by their sum: that is left to the result, much smaller than they are; and the
    search for each row's largest score is spared. Where scores could be too large for it, or keys are few, softmax does
    it all.
    """
    n, heads, n_queries, width = q.shape
    n_keys = k.shape[2]
    # Each head's rows side by side: the products would copy them for every block otherwise.
    q, k, v = (x.reshape(n * heads, -1, width).contiguous() for x in (q, k, v))
    out, keys = torch.empty_like(q), k.transpose(1, 2)
    sums = F.pad(q.new_ones(n * heads, n_queries, 1), (0, _PARTS))
    weighted, bias = slice(0), q.new_zeros(1, dtype=torch.float32)
    if log_weights is not None and bool(log_weights.any()):
        # Mostly one key in thousands has a weight: all scores need not be touched for it.
        at = log_weights.any(0).nonzero()
        weighted = slice(int(at[0]), int(at[-1]) + 1)
        bias = log_weights[:, None, weighted].float().repeat_interleave(heads, 0)
    safe = _are_safe(q, k, v, bias) if n_keys >= _MIN_KEYS else [False] * len(q)
    group = min(max(1, _SCORES // (n_queries * n_keys)), n * heads)
    rows = _even_rows(n_queries, _SCORES // n_keys) if group == 1 else n_queries
    held = q.new_empty(1 if all(safe) else 2, group * rows * n_keys)
    for h in range(0, n * heads, group):
        plain = all(safe[h : h + group])
        unit = _LOG2_E if plain else 1.0
        for i in range(0, n_queries, rows):
            block = q[h : h + group, i : i + rows]
            shape = (*block.shape[:2], n_keys)
            scores, weights = (held[at, : math.prod(shape)].view(shape) for at in (0, -1))
            scores.baddbmm_(block, keys[h : h + group], beta=0, alpha=unit * width**-0.5)
            if weighted.stop:
                scores[..., weighted] += (unit * bias[h : h + group]).to(scores.dtype)
            if plain:
                weights = torch.exp2(scores, out=scores)
                _sum_parts(weights, sums[h : h + group, i : i + rows])
            else:
                torch.softmax(scores, -1, out=weights)
            torch.bmm(weights, v[h : h + group], out=out[h : h + group, i : i + rows])
    if any(safe):
        out = (out / sums.sum(-1, keepdim=True, dtype=torch.float32)).to(q.dtype)
    return out.view(n, heads, n_queries, width)


def _are_safe(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> list[bool]:
    """Of each head (n * heads, L, head_width), whether its weights can be left undivided; not where one is NaN.

    A score is at most the product of its query's and its key's lengths, and what `bias` adds.
    """
    longest_q, longest_k = (torch.linalg.vector_norm(x, dim=-1).amax(-1).float() for x in (q, k))
    scores = (longest_q * longest_k * q.shape[-1] ** -0.5 + bias.abs().max()) * _LOG2_E
    sums = (k.shape[1] * v.abs().amax((1, 2)).float().clamp_min(1)).log2()
    safe: list[bool] = (scores + sums < _SAFE).tolist()
    return safe


def _sum_parts(weights: Tensor, sums: Tensor) -> None:
    """Sums of the parts of each row of (g, rows, K), and of what the parts leave over, into (g, rows, _PARTS + 1)."""
    even = weights.shape[2] // _PARTS * _PARTS
    torch.sum(weights[..., :even].unflatten(2, (_PARTS, even // _PARTS)), -1, out=sums[..., :_PARTS])
    torch.sum(weights[..., even:], -1, out=sums[..., _PARTS])


def _even_rows(n_queries: int, most: int) -> int:
    """Queries a block, about `most` but as many in each; of a number that products like."""
    blocks = max(1, round(n_queries / max(most, 32)))
    return min(n_queries, -(-n_queries // blocks // 16) * 16)


def split_heads(x: Float[Tensor, "n l channels"], heads: int, parts: int) -> tuple[Float[Tensor, "n {heads} l w"], ...]:
    """(N, L, parts * width) -> `parts` tensors (N, heads, L, head_width).

    Channels are ordered as the release has them: head by head, and within a head part by part.
    """
    n, length, channels = x.shape
    x = x.view(n, length, heads, parts, channels // (heads * parts))
    return torch.unbind(x.permute(3, 0, 2, 1, 4), 0)


def merge_heads(x: Float[Tensor, "n heads l w"]) -> Float[Tensor, "n l width"]:
    """(N, heads, L, head_width) -> (N, L, width)."""
    return x.transpose(1, 2).flatten(2)
