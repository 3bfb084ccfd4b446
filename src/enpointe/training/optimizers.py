"""Optimizers by name, and an update of all weights without a word to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.core.precision import fast_dtype
from enpointe.nn.hidden import hidden_matrices
from enpointe.training.muon import Muon


def build_optimizers(
    network: nn.Module, name: str, learning_rate: float, weight_decay: float, muon_scale: float = 1.0
) -> list[torch.optim.Optimizer]:
    """AdamW; or Muon for the network's hidden matrices, with AdamW for all else. What is frozen is left out.

    Decay is for matrices only. Every parameter group has a "scale", by which the learning rate of the schedule is
    multiplied: `muon_scale` for Muon's, 1 for AdamW's.

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
    hidden = [p for p in hidden if p.requires_grad]
    taken = {id(p) for p in hidden}
    trained = [p for p in network.parameters() if p.requires_grad and id(p) not in taken]
    matrices, others = [p for p in trained if p.ndim == 2], [p for p in trained if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    options: dict[str, Any] = {"lr": learning_rate, "betas": (0.9, 0.98), "fused": True}
    adamw = _scaled(torch.optim.AdamW(groups, **options), 1.0)
    if not hidden:
        return [adamw]
    muon = Muon(hidden, learning_rate, weight_decay, fast_dtype(hidden[0].device))
    return [_scaled(muon, muon_scale), adamw]


def take_step(
    network: nn.Module, optimizers: Sequence[torch.optim.Optimizer], rate: float, clip: float
) -> tuple[Tensor, Tensor]:
    """An update by the gradients, whose norm is clipped; where that is not finite, everything stays as it is.

    Nothing waits for the device.

    Returns:
        the norm before it was clipped, and 1.0 if the step was left out, else 0.0.
    """
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
    skipped = 1 - torch.isfinite(norm).float()
    for optimizer in optimizers:
        optimizer.found_inf = skipped  # type: ignore[attr-defined]
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return norm, skipped


def _scaled(optimizer: torch.optim.Optimizer, scale: float) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["scale"] = scale
    return optimizer
