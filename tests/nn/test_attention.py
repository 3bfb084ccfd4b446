"""The attention kernel's ways agree, with masks, in halves and backwards."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from enpointe.nn import attention as attention_module
from enpointe.nn.attention import attention, merge_heads, split_heads
from rounding import rounding

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


@pytest.mark.parametrize(("queries", "keys"), [(7, 31), (256, 40), (257, 40), (700, 300), (700, 603)])
def test_half_precision_agrees_with_single(queries: int, keys: int) -> None:
    q, k, v = (x.bfloat16() for x in qkv(queries, keys))
    expected = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    found = attention(q, k, v)
    assert found.dtype == torch.bfloat16
    # A few roundings: of the scaled query, the scores, the weights and the sum.
    assert (found.float() - expected).norm() / expected.norm() < 3 * HALF_ULP


@pytest.mark.parametrize("scores", [1, 1 << 9, 1 << 13, 1 << 15, 1 << 17])
@pytest.mark.parametrize("keys", [90, 601])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, scores: int, keys: int) -> None:
    """Work is cut into blocks, of some queries or of some heads; every row is the same either way."""
    q, k, v = (x.bfloat16() for x in qkv(130, keys))
    logs = torch.zeros(2, keys)
    logs[0, 4], logs[1, 60] = 2.0, 3.0
    whole = attention(q, k, v, log_weights=logs)
    monkeypatch.setattr(attention_module, "_SCORES", scores)
    assert torch.allclose(attention(q, k, v, log_weights=logs).float(), whole.float(), atol=2 * HALF_ULP)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize(("of_scores", "of_values"), [(4, 1), (12, 1), (40, 1), (1e4, 1), (1, 1e12), (1, 1e30)])
def test_no_overflow(of_scores: float, of_values: float, heads: int) -> None:
    """Scores from -5e4 to 5e4 in one head, or in all; weights 2^score would be infinite, or their products would."""
    q, k, v = qkv(70, 550)
    q[:, :heads] *= of_scores
    q, k, v = (x.bfloat16() for x in (q, k, v * of_values))
    assert relative_error(attention(q, k, v), q, k, v) < 6 * HALF_ULP


@pytest.mark.parametrize(("of_scores", "low"), [(1, 0), (3, 0), (0.3, 12)])
def test_as_exact_as_softmax(monkeypatch: pytest.MonkeyPatch, of_scores: float, low: float) -> None:
    """Also where all scores are about -40, so that all weights 2^score are tiny."""
    q, k, v = qkv(300, 800)
    q *= of_scores
    if low:
        q[..., 0], k[..., 0] = -low, low
    q, k, v = (x.bfloat16() for x in (q, k, v))
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    found = attention(q, k, v)
    monkeypatch.setattr(attention_module, "_SAFE", -math.inf)
    softmax = attention(q, k, v)
    assert not torch.equal(found, softmax)
    ours, theirs = ((x.double() - exact).norm() for x in (found, softmax))
    assert ours < 1.2 * theirs


def relative_error(found: Tensor, q: Tensor, k: Tensor, v: Tensor) -> float:
    """Infinite where something is. Scores are rounded first: large ones' weights are no better in any half kernel."""
    scores = (q.float() @ k.float().transpose(-1, -2) * q.shape[-1] ** -0.5).bfloat16()
    expected = torch.softmax(scores.double(), -1) @ v.double()
    error = float((found.double() - expected).norm() / expected.norm())
    return error if math.isfinite(error) else math.inf


def test_memory_that_it_finds_does_not_matter() -> None:
    """The blocks are written into memory as it was: here full of NaN."""
    q, k, v = (x.bfloat16() for x in qkv(130, 600))
    expected = attention(q, k, v)
    torch.use_deterministic_algorithms(True)  # fills what is not initialized
    try:
        assert torch.isnan(torch.empty(3)).all()
        assert torch.equal(attention(q, k, v), expected)
    finally:
        torch.use_deterministic_algorithms(False)


def test_not_a_number_stays_one() -> None:
    q, k, v = (x.bfloat16() for x in qkv(20, 530))
    q[0, 1, 3, 0] = torch.nan
    found = attention(q, k, v)
    assert torch.isnan(found[0, 1, 3]).all()
    assert torch.isfinite(found[0, 0]).all()


def test_no_scores_of_all_queries_at_once() -> None:
    """In bfloat16 a block's scores are held, at most twice, whatever the number of tokens; never those of all heads."""
    q, k, v = (torch.randn(1, 4, 2048, 16).bfloat16() for _ in range(3))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        attention(q, k, v)
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 2 * 2 * 2 * (1 << 20) < q.shape[1] * 2048 * 2048 * 2


def test_half_precision_gradients_agree_with_single() -> None:
    halves = [x.bfloat16().requires_grad_() for x in qkv(300, 60)]
    singles = [x.detach().float().requires_grad_() for x in halves]
    weight = torch.randn(2, 3, 300, 16, generator=torch.Generator().manual_seed(1))
    (attention(*halves).float() * weight).sum().backward()
    (F.scaled_dot_product_attention(singles[0], singles[1], singles[2]) * weight).sum().backward()
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("queries", [9, 600])
def test_a_weighted_key_is_many_equal_keys(queries: int, dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in qkv(queries, 7))
    counts = torch.tensor([[1, 256, 1, 3, 1, 1, 1], [9, 1, 1, 1, 1, 1, 2]])
    found = attention(q, k, v, log_weights=counts.log())
    for i, repeats in enumerate(counts):
        keys, values = (x[i : i + 1].float().repeat_interleave(repeats, dim=2) for x in (k, v))
        expected = F.scaled_dot_product_attention(q[i : i + 1].float(), keys, values)
        assert found.dtype == dtype
        # Half kernels round whole scores and weights; their sums are exact.
        tolerance = rounding(dtype, q.shape[-1] + int(repeats.sum())) if dtype == torch.float32 else 4 * HALF_ULP
        assert (found[i].float() - expected[0]).norm() / expected.norm() < tolerance
