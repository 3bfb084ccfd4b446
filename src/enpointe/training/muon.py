"""Muon: momentum whose matrices are orthogonalized, many of one shape at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
MOMENTUM = 0.95
RMS = 0.2
"""Of an update in units of the learning rate, about that of AdamW's."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) with Nesterov's momentum, its updates scaled as Moonlight's (arXiv 2502.16982, eq. 4).

    `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")` takes the same steps, matrix by matrix and always in bfloat16,
    which some processors multiply slower than float32.

    Attributes:
        found_inf: on the device, 1.0: the step leaves everything as it is; see `optimizers.take_step`.

    Args:
        matrices: each of two dimensions.
        dtype: to orthogonalize in.
    """

    found_inf: Tensor | None = None

    def __init__(
        self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append((matrix, matrix.grad))
            for pairs in by_shape.values():
                matrices, gradients = (list(part) for part in zip(*pairs, strict=True))
                self._update(matrices, gradients, group["lr"], group["weight_decay"])

    def _update(self, matrices: list[Tensor], gradients: list[Tensor], rate: float, decay: float) -> None:
        left_out = torch.zeros((), device=matrices[0].device) if self.found_inf is None else self.found_inf
        momenta = [self.state[matrix].setdefault("momentum", torch.zeros_like(matrix)) for matrix in matrices]
        # In a step that is left out the momenta stand in for the gradients, and so stay as they are.
        gradients = [torch.where(left_out > 0, old, new) for old, new in zip(momenta, gradients, strict=True)]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        updates = orthogonalized(torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM)), self._dtype)
        scale = RMS * math.sqrt(max(updates.shape[1:])) * rate * (1 - left_out)
        torch._foreach_mul_(matrices, 1 - rate * decay * (1 - left_out))
        torch._foreach_sub_(matrices, (updates * scale).unbind())


def orthogonalized(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Matrices (n, a, b) with all singular values brought near 1, by Newton-Schulz steps in that type; float32."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(dtype)
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()
