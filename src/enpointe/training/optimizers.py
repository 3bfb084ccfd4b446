"""Optimizers by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from enpointe.core.errors import InputError
from enpointe.nn.hidden import hidden_matrices


def build_optimizers(
    network: nn.Module, name: str, learning_rate: float, weight_decay: float, muon_scale: float = 1.0
) -> list[torch.optim.Optimizer]:
    """AdamW; or Muon for the network's hidden matrices, with AdamW for all else.

    Muon (Jordan et al. 2024) orthogonalizes each matrix's update, here to 0.2 times the learning
    rate a weight. Decay is for matrices only. Every parameter group has a "scale", by which the
    learning rate of the schedule is multiplied: `muon_scale` for Muon's, 1 for AdamW's.

    Raises:
        InputError: a name other than "adamw" and "muon", or "muon" for a network without hidden matrices.
    """
    if name not in ("adamw", "muon"):
        raise InputError(f"optimizer: expected adamw or muon, found {name!r}")
    hidden = hidden_matrices(network) if name == "muon" else []
    if name == "muon" and not hidden:
        raise InputError(
            f"optimizer muon: expected a network with hidden matrices, found a {type(network).__name__}, which has none"
        )
    taken = {id(p) for p in hidden}
    matrices = [p for p in network.parameters() if p.ndim == 2 and id(p) not in taken]
    others = [p for p in network.parameters() if p.ndim != 2]
    fused = next(network.parameters()).device.type in ("cuda", "cpu")
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    options: dict[str, Any] = {"lr": learning_rate, "betas": (0.9, 0.98), "fused": fused}
    adamw = _scaled(torch.optim.AdamW(groups, **options), 1.0)
    if not hidden:
        return [adamw]
    muon = torch.optim.Muon(hidden, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    return [_scaled(muon, muon_scale), adamw]


def _scaled(optimizer: torch.optim.Optimizer, scale: float) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["scale"] = scale
    return optimizer
