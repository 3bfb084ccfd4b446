"""Values of frozen dataclasses, changed by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from enpointe.core.changes import changed
from enpointe.core.errors import InputError


@dataclass(frozen=True)
class Part:
    size: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.size > 99:
            raise ValueError("a part is too large")


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...] = (Part(1), Part(2))
    first: Part = Part(3)
    kind: Literal["a", "b"] = "a"
    limits: tuple[int, int] = (1, 2)
    decays: tuple[float, ...] = ()
    most: float | None = None
    name: str = "x"
    fast: bool = True


def value(change: str) -> Any:
    config: Any = changed(Whole(), change)
    for name in change.partition("=")[0].split("."):
        config = config[int(name)] if isinstance(config, tuple) else getattr(config, name)
    return config


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("first.size=7", 7), ("first.share=1", 1.0), ("first.share=1e-3", 1e-3), ("parts.1.size=9", 9),
        ("kind=b", "b"), ("limits=(3, 4)", (3, 4)), ("limits=[3,4]", (3, 4)), ("limits.0=5", 5),
        ("decays=(0.9, 1)", (0.9, 1.0)), ("most=2", 2.0), ("most=None", None), ("most=none", None), ("name=y z", "y z"),
        ("name='7'", "7"), ("name=7", "7"), ("fast=False", False), ("fast=false", False), ("name=a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_value(change: str, expected: Any) -> None:
    found = value(change)
    assert found == expected
    assert type(found) is type(expected)


def test_the_rest_stays() -> None:
    assert changed(Whole(), "parts.0.share=0.25") == Whole(parts=(Part(1, 0.25), Part(2)))
    assert Whole() == Whole(parts=(Part(1), Part(2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("first", "expected NAME=VALUE"), ("=3", "expected NAME=VALUE"),
        ("second=1", "expected one of parts, first, kind, limits, decays, most, name, fast, found 'second'"),
        ("first.size.x=1", "expected no name within a int, found 'x'"),
        ("parts.2.size=1", "expected a number below 2, found '2'"), ("parts.x=1", "expected a number below 2"),
        ("first.size=1.5", "expected int, found '1.5'"), ("first.size=True", "expected int, found 'True'"),
        ("first.share=x", "expected float, found 'x'"), ("fast=1", "expected bool, found '1'"),
        ("kind=c", "expected a, b, found 'c'"), ("limits=(1,)", "expected tuple"), ("limits=(1, 'a')", "expected int"),
        ("most=x", "expected float | None, found 'x'"), ("first=3", r"one of its values by name \(size, share\)"),
        ("first.size=100", "a part is too large"),
    ],
)  # fmt: skip
def test_what_is_refused(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        changed(Whole(), change)
