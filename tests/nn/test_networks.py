"""What holds for the networks whatever their weights: symmetries, closed forms of their features, conditions."""

from __future__ import annotations

import math
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.nn.blocks import Transformer, position_features, time_features
from enpointe.nn.point_transformer import PointTransformer, PointTransformerConfig
from enpointe.nn.sdf import SDFConfig
from enpointe.nn.text_encoder import BertEncoder
from rounding import assert_same_sums


def point_transformer(**options: Any) -> PointTransformer:
    torch.manual_seed(0)
    network = PointTransformerConfig(width=32, layers=2, heads=4, **options).build()
    with torch.no_grad():
        for parameter in network.parameters():  # the output begins as zero: give it something to say
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


CONDITIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "time added": {"time_as_token": False, "position_bands": 3},
    "neighbours": {"time_as_token": False, "neighbours": 5},
    "all": {"vector": 10, "vector_as_token": True, "grids": (("text", 12),), "low_res": True},
}


def inputs(network: PointTransformer, n: int = 2) -> tuple[Tensor, Tensor, dict[str, Any]]:
    cond: dict[str, Any] = {}
    if network.vector_embed is not None:
        cond = {"vector": torch.randn(n, 10), "grids": {"text": torch.randn(n, 12, 5)}}
        cond["low_res"] = torch.randn(n, 6, 8)
    return torch.randn(n, 6, 20), torch.tensor([3.0, 700.0])[:n], cond


@pytest.mark.parametrize("kind", CONDITIONS)
@torch.no_grad()
def test_points_are_a_set(kind: str) -> None:
    """Moving the points moves the outputs with them: no point has a place in a row."""
    network = point_transformer(**CONDITIONS[kind])
    x, t, cond = inputs(network)
    order = torch.randperm(x.shape[-1])
    assert_same_sums(network(x[..., order], t, **cond), network(x, t, **cond)[..., order], network)


@torch.no_grad()
def test_condition_tokens_are_a_set_and_batch_rows_are_alone() -> None:
    network = point_transformer(**CONDITIONS["all"])
    x, t, cond = inputs(network)
    y = network(x, t, **cond)
    shuffled = {
        **cond,
        "low_res": cond["low_res"][..., torch.randperm(8)],
        "grids": {"text": cond["grids"]["text"][..., torch.randperm(5)]},
    }
    assert_same_sums(network(x, t, **shuffled), y, network)
    first = {"vector": cond["vector"][:1], "low_res": cond["low_res"][:1], "grids": {"text": cond["grids"]["text"][:1]}}
    assert_same_sums(network(x[:1], t[:1], **first), y[:1], network)


@pytest.mark.parametrize("change", ["t", "vector", "grids", "low_res"])
@torch.no_grad()
def test_every_condition_is_heard(change: str) -> None:
    network = point_transformer(**CONDITIONS["all"])
    x, t, cond = inputs(network)
    y = network(x, t, **cond)
    other = dict(cond)
    if change in ("vector", "low_res"):
        other[change] = cond[change] + 1
    elif change == "grids":
        other["grids"] = {"text": torch.randn(2, 12, 5)}
    assert (network(x, t + (100 if change == "t" else 0), **other) - y).abs().max() > 1e-3


def test_a_fresh_network_says_nothing() -> None:
    network = PointTransformerConfig(width=32, layers=1, heads=2).build()
    assert torch.equal(network(torch.randn(1, 6, 4), torch.ones(1)), torch.zeros(1, 12, 4))


def test_conditions_that_do_not_fit_are_named() -> None:
    plain, full = point_transformer(), point_transformer(**CONDITIONS["all"])
    x, t, cond = inputs(full)
    with pytest.raises(InputError, match="txet"):
        full(x, t, low_res=cond["low_res"], grids={"txet": cond["grids"]["text"]})
    with pytest.raises(InputError, match=r"low_res.*found none"):
        full(x, t, vector=cond["vector"])
    with pytest.raises(InputError, match="vector"):
        plain(x, t, vector=cond["vector"])
    with pytest.raises(InputError, match="low_res"):
        plain(x, t, low_res=cond["low_res"])


@pytest.mark.parametrize("kind", CONDITIONS)
@torch.no_grad()
def test_prepared_conditions_give_the_same(kind: str) -> None:
    network = point_transformer(**CONDITIONS[kind])
    x, t, cond = inputs(network)
    prepared = network.prepare(len(x), **cond)
    assert torch.equal(network(x, t, prepared=prepared), network(x, t, **cond))
    assert "log_counts" not in prepared
    with pytest.raises(InputError, match="both"):
        network(x, t, prepared=prepared, low_res=torch.zeros(2, 6, 4))


@torch.no_grad()
def test_equal_tokens_of_a_grid_enter_once() -> None:
    grids = (("picture", 7), ("text", 12))
    network = point_transformer(grids=grids, low_res=True)
    x, t, low_res = torch.randn(2, 6, 20), torch.tensor([3.0, 700.0]), torch.randn(2, 6, 8)
    for picture in (torch.zeros(2, 7, 1), torch.randn(2, 7, 1)):  # each sample may have a column of its own
        cond: dict[str, Any] = {
            "grids": {"picture": picture.expand(-1, -1, 256), "text": torch.randn(2, 12, 5)},
            "low_res": low_res,
        }
        plain = network(x, t, **cond)
        prepared = network.prepare(len(x), **cond)
        assert prepared["tokens"].shape == (2, 1 + 5 + 8, 32)
        assert_same_sums(network(x, t, prepared=prepared), plain, network)
        # One token that counts once is something else.
        assert (network(x, t, prepared={"tokens": prepared["tokens"]}) - plain).abs().max() > 1e-2
    one_differs = torch.zeros(2, 7, 256)
    one_differs[1, 3, 17] = 1
    assert "log_counts" not in network.prepare(2, grids={"picture": one_differs}, low_res=low_res)


def test_compiles_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of shapes are no part of it
    network = point_transformer(**CONDITIONS["all"])
    x, t, cond = inputs(network)
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=False)
    assert_same_sums(compiled(x, t, **cond), network(x, t, **cond), network)


@torch.no_grad()
def test_tokens_that_are_not_asked_for_are_still_looked_at() -> None:
    torch.manual_seed(0)
    stack, x, logs = Transformer(32, 3, 4), torch.randn(2, 20, 32), torch.rand(2, 20)
    asked = stack(x, logs, first=6)
    assert asked.shape == (2, 14, 32)
    assert_same_sums(asked, stack(x, logs)[:, 6:], stack)
    assert not torch.allclose(asked, stack(x[:, 6:], logs[:, 6:]), atol=1e-2)


def test_recomputed_blocks_have_the_same_gradients() -> None:
    torch.manual_seed(0)
    transformer, x = Transformer(16, 3, 2), torch.randn(2, 5, 16)
    log_weights = torch.randn(2, 5)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    def gradients(recompute: bool) -> tuple[int, list[Tensor]]:
        transformer.recompute = recompute
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = transformer(x, log_weights, first=2).square().mean()
        return len(kept), list(torch.autograd.grad(loss, list(transformer.parameters())))

    (many, plain), (few, again) = gradients(False), gradients(True)
    assert few < many / 2
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def test_time_features() -> None:
    found = time_features(torch.tensor([0.0, 2.5, 1000.0]), 8)
    for row, t in zip(found.tolist(), (0.0, 2.5, 1000.0), strict=True):
        angles = [t * 10_000 ** (-i / 4) for i in range(4)]
        expected = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        assert row == pytest.approx(expected, abs=2e-4)  # float32 at an angle of 1000
    assert found.dtype == torch.float32


def test_position_features() -> None:
    points = torch.tensor([[0.3, -0.8, 1.0]])
    found = position_features(points, 3)
    expected = [
        wave(math.pi / 2 * 2**band * x)
        for x in points[0].tolist()
        for wave in (math.sin, math.cos)
        for band in range(3)
    ]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)
    # Band 0 is one to one on [-1, 1]; band k repeats after 4 / 2^k.
    assert torch.allclose(position_features(points + 4, 3), found, atol=1e-5)
    assert torch.allclose(position_features(points + 1, 3)[..., 2::3], found[..., 2::3], atol=1e-5)


@torch.no_grad()
def test_sdf_latents_are_a_set_and_queries_are_alone() -> None:
    torch.manual_seed(0)
    config = SDFConfig(width=32, encoder_layers=1, encoder_heads=2, decoder_layers=2, decoder_heads=2)
    network = config.build()
    points, queries = torch.randn(2, 3, 30), torch.randn(2, 3, 9)
    y = network(points, queries)
    assert y.shape == (2, 9)
    assert_same_sums(network(points[..., torch.randperm(30)], queries), y, network)
    assert_same_sums(network.decode(network.encode(points), queries[..., 4:6]), y[:, 4:6], network)
    assert y.std() > 1e-3


@torch.no_grad()
def test_text_encoder_does_not_see_padding() -> None:
    torch.manual_seed(0)
    network = BertEncoder(vocabulary=50, width=16, layers=2, heads=2, hidden=32, positions=12)
    tokens = torch.randint(0, 50, (1, 6))
    alone = network(tokens, torch.ones(1, 6, dtype=torch.bool))
    padded = torch.cat([tokens, torch.randint(0, 50, (1, 4))], 1)
    assert_same_sums(network(padded, torch.arange(10)[None] < 6)[:, :6], alone, network)
    # Order is heard: positions are learned.
    assert not torch.allclose(network(tokens.flip(1), torch.ones(1, 6, dtype=torch.bool)).flip(1), alone, atol=1e-3)
