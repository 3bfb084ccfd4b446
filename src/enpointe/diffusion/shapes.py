"""Shapes of the tensors in this room. The tests check annotations at every call, and that shapes of one name agree."""

from __future__ import annotations

from jaxtyping import Float, Float64, Int
from torch import Tensor

Samples = Float[Tensor, " n *shape"]
"""A batch (N, ...), mostly (N, C, P): N samples of P points in C channels."""

PerSample = Float[Tensor, " n"]
"""A number for each sample."""

StepIndex = Int[Tensor, " n"]
"""A step of a process for each sample."""

Levels = Float[Tensor, " levels"]
"""Noise levels of a run."""

Table = Float64[Tensor, " steps"]
"""A number for each step of a process."""
