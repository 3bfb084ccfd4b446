"""Optimizers by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from enpointe.core.errors import InputError


def build_optimizers(
    network: nn.Module, name: str, learning_rate: float, weight_decay: float, muon_scale: float = 1.0
) -> list[torch.optim.Optimizer]:
    """AdamW; or Muon for the transformer's matrices, if there are any, with AdamW for all else.

    Muon (Jordan et al. 2024) orthogonalises each matrix's update, here to 0.2 times the learning
    rate a weight. Decay is for matrices only. Every parameter group has a "scale", by which the
    learning rate of the schedule is multiplied: `muon_scale` for Muon's, 1 for AdamW's.

    Raises:
        InputError: a name other than "adamw" and "muon".
    """
    matrices = [p for key, p in network.named_parameters() if p.ndim == 2 and "resblocks" in key]
    inner = {id(p) for p in matrices}
    others = [p for p in network.parameters() if p.ndim == 2 and id(p) not in inner]
    flat = [p for p in network.parameters() if p.ndim != 2]
    fused = next(network.parameters()).device.type in ("cuda", "cpu")
    adam: dict[str, Any] = {"lr": learning_rate, "betas": (0.9, 0.98), "fused": fused}
    if name not in ("adamw", "muon"):
        raise InputError(f"optimizer: expected adamw or muon, found {name!r}")
    if name == "muon" and matrices:
        muon = torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        groups = [{"params": others, "weight_decay": weight_decay}, {"params": flat, "weight_decay": 0.0}]
        return [_scaled(muon, muon_scale), _scaled(torch.optim.AdamW(groups, **adam), 1.0)]
    groups = [
        {"params": matrices + others, "weight_decay": weight_decay},
        {"params": flat, "weight_decay": 0.0},
    ]
    return [_scaled(torch.optim.AdamW(groups, **adam), 1.0)]


def _scaled(optimizer: torch.optim.Optimizer, scale: float) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["scale"] = scale
    return optimizer
