"""Checks of what a user passes to a pipeline."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from enpointe.core.errors import InputError

MIN_POINTS, USUAL_POINTS, MAX_POINTS = 64, 4096, 65_536
"""Of a final cloud."""
MAX_SEED = 2**63 - 1


def whole(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int; InputError unless it is a whole number from low to high."""
    if not isinstance(value, Integral) or not low <= int(value) <= high:
        raise InputError(f"{name}: expected a whole number from {low} to {high}, found {value!r}")
    return int(value)


def number(name: str, value: Any, low: float, high: float) -> float:
    """The value as a float; InputError unless it is a number from low to high."""
    if not isinstance(value, Real) or not low <= float(value) <= high:  # NaN is not
        raise InputError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return float(value)


def size_after(n_points: int, n_before: int) -> int:
    """How many points a cloud of `n_before` is to have; InputError where that is fewer, or more than can be."""
    if n_before > MAX_POINTS:
        raise InputError(f"upsample: expected a cloud of at most {MAX_POINTS} points, found {n_before}")
    return whole("n_points", n_points, n_before, MAX_POINTS)
