"""Noise levels of a batch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def normal_levels(rng: np.random.Generator, n: int) -> Tensor:
    """Standard normal draws (n,), one in each equal slice of probability, in random order.

    A batch spans the levels evenly, which quiets the gradient.
    """
    even = torch.from_numpy((rng.permutation(n) + rng.random(n)) / n).clamp(1e-4, 1 - 1e-4)
    return (torch.erfinv(2 * even - 1) * math.sqrt(2)).float()
