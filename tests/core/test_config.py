"""Dataclasses from plain values; what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from enpointe.core.config import from_dict
from enpointe.core.errors import InputError


@dataclass(frozen=True)
class Nested:
    width: int
    depth: int
    grids: tuple[tuple[str, int], ...] = ()
    made: frozenset[str] = field(default_factory=frozenset)


def test_lists_become_tuples_and_defaults_stay() -> None:
    found = from_dict(Nested, {"width": 3, "depth": 2, "grids": [["text", 8]]})
    assert found == Nested(3, 2, (("text", 8),))
    assert hash(found) == hash(Nested(3, 2, (("text", 8),)))


def test_unknown_and_missing_keys() -> None:
    with pytest.raises(
        InputError,
        match=r"Nested: expected keys \['depth', 'grids', 'made', 'width'\], found unknown \['a'\], missing \['dep",
    ):
        from_dict(Nested, {"width": 3, "a": 2})
