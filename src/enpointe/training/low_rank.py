"""Low-rank fine-tuning (LoRA, Hu et al. 2021, arXiv 2106.09685), by the package peft.

A matrix W of the network is frozen, and W + B A is what it computes with: A (rank, in) and B (out, rank) are learned,
B from zero. Whatever leaves a run is merged: plain weights of the plain network.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.nn.hidden import hidden_matrices

_BASE, _A, _B = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"
"""How peft names what it puts in a linear layer's place."""


def add_low_rank(network: nn.Module, rank: int) -> None:
    """Freezes a network and gives its linear layers that hold hidden matrices, of attention and MLPs, factors to learn.

    Args:
        network: changed in place.
        rank: at least 1.

    Raises:
        InputError: the network has no such layers, or peft is not installed.
    """
    hidden = {id(matrix) for matrix in hidden_matrices(network)}
    layers = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and id(module.weight) in hidden
    ]
    if not layers:
        raise InputError(
            f"low-rank training: expected a network with hidden matrices in linear layers, found a "
            f"{type(network).__name__}, which has none"
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model  # seconds of import, for those only who need it
    except ImportError as error:
        raise InputError(f"low-rank training needs peft: pip install 'enpointe[finetune]' ({error})") from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), network)  # alpha: times 1


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The plain network's state dict for one of a network with factors: W + B A in place of each three.

    One without factors is as it was.
    """
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith((_A, _B)):
            continue
        layer, base, tensor = key.partition(_BASE)
        if base and tensor == "weight":
            value = value + state[layer + _B] @ state[layer + _A]
        plain[f"{layer}.{tensor}" if base else key] = value
    return plain
