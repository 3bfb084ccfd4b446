"""The attention kernel's ways agree, with masks, in halves and backwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from enpointe.nn.attention import attention, merge_heads, split_heads

HALF_ULP = 2**-8
"""Rounding of bfloat16, relative."""


def qkv(queries: int, keys: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, 3, n, 16, generator=generator) for n in (queries, keys, keys))  # type: ignore[return-value]


def test_closed_form() -> None:
    q, k, v = qkv(5, 7)
    expected = torch.zeros_like(q)
    for n in range(2):
        for h in range(3):
            weights = torch.exp(q[n, h] @ k[n, h].T / 4)
            expected[n, h] = weights @ v[n, h] / weights.sum(-1, keepdim=True)
    assert torch.allclose(attention(q, k, v), expected, atol=1e-5)


@pytest.mark.parametrize(("queries", "keys"), [(7, 31), (256, 40), (257, 40), (700, 300)])
def test_half_precision_agrees_with_single(queries: int, keys: int) -> None:
    halves = [x.bfloat16() for x in qkv(queries, keys)]
    expected = F.scaled_dot_product_attention(*(x.float() for x in halves))
    found = attention(*halves)
    assert found.dtype == torch.bfloat16
    # A few roundings: of the scaled query, the scores, the weights and the sum.
    assert (found.float() - expected).norm() / expected.norm() < 3 * HALF_ULP


def test_blocks_change_nothing() -> None:
    """Queries are cut into blocks only without gradients; every row is the same either way."""
    q, k, v = (x.bfloat16() for x in qkv(600, 90))
    blocked = attention(q, k, v)
    whole = attention(q.clone().requires_grad_(), k, v)
    assert torch.allclose(blocked.float(), whole.float(), atol=2 * HALF_ULP)


def test_half_precision_gradients_agree_with_single() -> None:
    halves = [x.bfloat16().requires_grad_() for x in qkv(300, 60)]
    singles = [x.detach().float().requires_grad_() for x in halves]
    weight = torch.randn(2, 3, 300, 16, generator=torch.Generator().manual_seed(1))
    (attention(*halves).float() * weight).sum().backward()
    (F.scaled_dot_product_attention(*singles) * weight).sum().backward()
    for half, single in zip(halves, singles, strict=True):
        assert half.grad is not None
        assert single.grad is not None
        assert (half.grad.float() - single.grad).norm() / single.grad.norm() < 4 * HALF_ULP


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_keys_are_as_absent(dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in qkv(9, 12))
    mask = torch.arange(12) < 8
    found = attention(q, k, v, mask[None, None, None])
    assert torch.allclose(found.float(), attention(q, k[:, :, :8], v[:, :, :8]).float(), atol=4 * HALF_ULP)


def test_heads_are_split_part_within_head() -> None:
    """Channels run head by head, and within a head q, k, v: the order of the released weights."""
    x = torch.arange(2 * 3 * 24.0).view(2, 3, 24)
    q, k, v = split_heads(x, heads=2, parts=3)
    assert torch.equal(q[:, 0], x[..., 0:4])
    assert torch.equal(k[:, 0], x[..., 4:8])
    assert torch.equal(v[:, 1], x[..., 20:24])
    (whole,) = split_heads(x, heads=4, parts=1)
    assert torch.equal(merge_heads(whole), x)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4 * HALF_ULP)])
@pytest.mark.parametrize("queries", [9, 600])
def test_a_weighted_key_is_many_equal_keys(queries: int, dtype: torch.dtype, tolerance: float) -> None:
    q, k, v = (x.to(dtype) for x in qkv(queries, 7))
    counts = torch.tensor([[1, 256, 1, 3, 1, 1, 1], [9, 1, 1, 1, 1, 1, 2]])
    found = attention(q, k, v, log_weights=counts.log())
    for i, repeats in enumerate(counts):
        many = [x[i : i + 1].repeat_interleave(repeats, dim=2) for x in (k, v)]
        expected = F.scaled_dot_product_attention(*(x.float() for x in (q[i : i + 1], *many)))
        assert found.dtype == dtype
        assert (found[i].float() - expected[0]).norm() / expected.norm() < tolerance
