"""How far the same sums may lie apart when two processors, or two ways of computing them, add them up."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

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


def terms_of(network: nn.Module) -> int:
    """The longest way through a network: the terms of each matrix and kernel, as if all followed each other.

    An attention adds none: its weights sum to one.
    """
    return sum(weight[0].numel() for weight in network.parameters() if weight.ndim > 1)


def assert_same_sums(found: Tensor, expected: Tensor, terms: int | nn.Module) -> None:
    """Equal but for rounding, relative to the largest number, after so many terms or those of a network."""
    count = terms if isinstance(terms, int) else terms_of(terms)
    tolerance = rounding(found.dtype, count) * float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
