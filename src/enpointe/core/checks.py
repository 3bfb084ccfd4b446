"""Checks of what a user passes to a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

from enpointe.core.errors import InputError

MIN_POINTS, MAX_POINTS = 64, 65_536
MAX_SEED = 2**63 - 1

T = TypeVar("T")


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


def several(name: str, values: Iterable[T]) -> list[T]:
    """The values as a list; InputError where one alone stands in their place, a text for instance."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name}: expected a sequence of them, found one {type(values).__name__}")
    return list(values)


def size_after(n_points: int, n_before: int) -> int:
    """How many points a cloud of `n_before` is to have; InputError where that is fewer, or more than can be."""
    if n_before > MAX_POINTS:
        raise InputError(f"upsample: expected a cloud of at most {MAX_POINTS} points, found {n_before}")
    return whole("n_points", n_points, n_before, MAX_POINTS)


def seeds_for(seeds: Iterable[int], n: int | None, of: str) -> list[int]:
    """The seeds; InputError unless there are n of them (None: any number), at least one, each 0 <= seed < 2**63."""
    found = several("seeds", seeds)
    n = len(found) if n is None else n
    if n == 0:
        raise InputError(f"generate: expected {of}, found none")
    if n != len(found):
        raise InputError(f"generate: expected as many seeds as {of}, found {len(found)} and {n}")
    return [whole("seed", seed, 0, MAX_SEED) for seed in found]
