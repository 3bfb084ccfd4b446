"""Which matrices of the networks are hidden."""

from __future__ import annotations

import torch
from torch import nn

from enpointe.nn.hidden import hidden_matrices
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.nn.pointnet2 import PointNet2Config
from enpointe.nn.sdf import SDFConfig


def keys(network: nn.Module) -> list[str]:
    names = {id(parameter): key for key, parameter in network.named_parameters()}
    return [names[id(matrix)] for matrix in hidden_matrices(network)]


def test_a_point_transformer_declares_the_matrices_of_its_blocks() -> None:
    network = PointTransformerConfig(width=16, layers=2, heads=2, grids=(("text", 4),), low_res=True).build()
    matrices = ("attn.c_qkv", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert keys(network) == [f"backbone.resblocks.{i}.{name}.weight" for i in range(2) for name in matrices]


def test_a_network_of_two_transformers_declares_both_ones_each_once() -> None:
    network = SDFConfig(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2).build()
    found = keys(network)
    assert len(found) == len(set(found)) == 4 + 5  # the decoder's queries and keys are apart
    assert {key.split(".")[0] for key in found} == {"encoder", "decoder"}
    assert all("resblocks" in key for key in found)


def test_other_networks_declare_none() -> None:
    assert hidden_matrices(PointNet2Config(classes=2, width=0.125).build()) == []
    assert hidden_matrices(nn.Linear(2, 2)) == []


def test_a_module_of_another_kind_may_declare_its_own() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(3, 3, bias=False), nn.Linear(3, 1)

        def hidden_matrices(self) -> list[nn.Parameter]:
            return list(self.inner.parameters())

    network = nn.Sequential(Own(), Own())
    first, second = hidden_matrices(network)
    assert first.shape == second.shape == torch.Size((3, 3))
    assert first is not second
