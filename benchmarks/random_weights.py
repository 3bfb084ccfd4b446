"""Released networks of their true sizes with random weights, where only time and memory are asked about."""

from __future__ import annotations

import math

import torch
from torch import nn

from enpointe.checkpoints.released import RELEASED
from enpointe.checkpoints.structure import build_empty


@torch.no_grad()
def random_released(name: str, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> nn.Module:
    """A released network with normal weights of a size that lets signals through to its output.

    Takes no more memory than the weights do in `dtype`: base1B in bfloat16 fits where its float32 does not.

    Args:
        name: one of `RELEASED_NAMES`, "pointnet" not among them.

    Raises:
        InputError: no such name.
    """
    network = build_empty(name).to(dtype).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=1 / (2 * math.sqrt(module.in_features)), generator=generator)
            module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1)
            module.bias.zero_()
    if name in RELEASED and RELEASED[name].config.low_res:
        scaling = RELEASED[name].scaling
        # In float32 whatever the weights are in: rounded, every coarse point's color would be.
        network.channel_scales = torch.tensor(scaling.scales)
        network.channel_biases = torch.tensor(scaling.biases)
    return network.requires_grad_(False).eval()
