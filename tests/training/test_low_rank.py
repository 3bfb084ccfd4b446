"""Low-rank factors: what is trained, and what is left of them when they are merged."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer
from enpointe.training.low_rank import add_low_rank, merged
from enpointe.training.optimizers import build_optimizers, take_step

pytest.importorskip("peft", reason="peft is not installed")


def transformer() -> PointTransformer:
    torch.manual_seed(0)
    network = PointTransformer(width=16, layers=2, heads=2, vector=8, vector_as_token=True)
    nn.init.normal_(network.output_proj.weight, std=0.1)  # zero at first: nothing would matter
    return network


def output(network: nn.Module) -> Tensor:
    x, vector = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(1)), torch.ones(2, 8)
    with torch.no_grad():
        return network(x, torch.tensor([3, 500]), vector=vector)


def shaken(network: nn.Module) -> None:
    """Moves every trainable parameter."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


def test_nothing_changes_at_first_and_only_factors_learn() -> None:
    network = transformer()
    before, n = output(network), sum(p.numel() for p in network.parameters())
    add_low_rank(network, 2)
    assert torch.equal(output(network), before)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    blocks = ("attn.c_qkv", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert learning == {
        f"backbone.resblocks.{i}.{layer}.lora_{factor}.default.weight"
        for i in range(2)
        for layer in blocks
        for factor in "AB"
    }
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) < n / 5


def test_merged_is_the_adapted_network() -> None:
    network, plain = transformer(), transformer()
    add_low_rank(network, 3)
    shaken(network)
    assert not torch.allclose(output(network), output(plain), atol=1e-2)
    state = merged(network.state_dict())
    assert list(state) == list(plain.state_dict())
    plain.load_state_dict(state)
    torch.testing.assert_close(output(plain), output(network), rtol=1e-5, atol=1e-5)


def test_without_factors_a_state_is_as_it_was() -> None:
    state = transformer().state_dict()
    assert {key: id(value) for key, value in merged(state).items()} == {key: id(value) for key, value in state.items()}


def test_cross_attention_has_factors_too() -> None:
    network = SDFTransformer(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2)
    add_low_rank(network, 1)
    learning = {name.partition(".lora_")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert {"decoder.resblocks.0.attn.c_q", "decoder.resblocks.0.attn.c_kv", "encoder.resblocks.0.mlp.c_fc"} <= learning
    assert "output_proj" not in learning


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_optimizers_move_the_factors_alone(optimizer: str) -> None:
    network = transformer()
    add_low_rank(network, 2)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizers = build_optimizers(network, optimizer, 1e-2, 0.1)
    for _ in range(2):  # the first factor has a gradient from the second step on
        network(torch.randn(2, 6, 10), torch.tensor([3, 500]), vector=torch.ones(2, 8)).square().mean().backward()
        take_step(network, optimizers, 1e-2, 1.0)
    moved = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name in before if ".lora_" in name}


def test_a_network_without_hidden_matrices() -> None:
    with pytest.raises(InputError, match="expected a network with hidden matrices in linear layers, found a Linear"):
        add_low_rank(nn.Linear(2, 2), 1)


def test_without_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"needs peft: pip install 'enpointe\[finetune\]'"):
        add_low_rank(transformer(), 1)
