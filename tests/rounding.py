"""How far the same sum may lie apart when two processors, or two ways of computing it, add it up."""

from __future__ import annotations

import math

import torch

STEPS = 4
"""Deviations of a random walk that a comparison allows."""


def rounding(dtype: torch.dtype, terms: int) -> float:
    """The relative tolerance of a result that `terms` products or summands in `dtype` went into, one after another.

    A sum of n terms has n roundings of at most half an eps each. They are as good as independent, so that the
    error grows as sqrt(n) eps (Higham and Mary, 2019); the processor's order and fused products choose where in
    there it lies. `terms` counts the longest way through the computation: lengths of reductions that follow each
    other are added.
    """
    return STEPS * math.sqrt(terms) * torch.finfo(dtype).eps
