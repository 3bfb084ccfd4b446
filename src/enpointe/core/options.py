"""Fields of dataclasses that are options of a command line: help, kind and range stand beside the default.

views: int = field(default=20, metadata=option("views of each model", "N", least=1, most=200))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """What a command line needs to know of a field.

    Attributes:
        text: its help, without the default.
        metavar: what stands for its value there.
        kind: str, int, float or Path; None for that of the default.
        least, most: the range of a number, both included.
    """

    text: str
    metavar: str
    kind: type | None = None
    least: float = 0
    most: float = 2**53


def option(text: str, metavar: str, kind: type | None = None, *, least: float = 0, most: float = 2**53) -> Any:
    """The metadata of a field that is an option, see `Option`."""
    return {_KEY: Option(text, metavar, kind, least, most)}


def options_of(kind: type) -> Mapping[str, tuple[Option, Any]]:
    """The options among a dataclass's fields, with their defaults, by name."""
    return {one.name: (one.metadata[_KEY], one.default) for one in fields(kind) if _KEY in one.metadata}
