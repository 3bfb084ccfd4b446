"""Checks of what a user passes to a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from enpointe.errors import InputError

MIN_POINTS, MAX_POINTS = 64, 65_536
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


def seeds_for(seeds: Sequence[int], n: int, of: str) -> list[int]:
    """The seeds; InputError unless there are n > 0 of them, each 0 <= seed < 2**63."""
    if n == 0 or n != len(seeds):
        raise InputError(f"generate: expected as many seeds as {of}, found {len(seeds)} and {n}")
    return [whole("seed", seed, 0, MAX_SEED) for seed in seeds]
