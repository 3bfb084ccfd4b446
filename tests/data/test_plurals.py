"""Plurals of what things are called."""

from __future__ import annotations

import pytest

from enpointe.data.plurals import plural
from enpointe.data.procedural.families import FAMILIES


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("apple", "apples"), ("box", "boxes"), ("bus", "buses"), ("church", "churches"), ("tomato", "tomatoes"),
        ("piano", "pianos"), ("lorry", "lorries"), ("key", "keys"), ("woman", "women"), ("snowman", "snowmen"),
        ("human figure", "human figures"), ("kitchen knife", "kitchen knives"), ("bookshelf", "bookshelves"),
        ("sheep", "sheep"), ("tropical fish", "tropical fish"), ("cactus", "cacti"), ("drums", "drums"),
        ("pair of scissors", "pairs of scissors"), ("crate of carrots", "crates of carrots"),
        ("flower in a pot", "flowers in pots"), ("wall with an open window", "walls with an open window"),
    ],
)  # fmt: skip
def test_plurals(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_no_two_families_share_a_plural_that_they_do_not_share_in_the_singular() -> None:
    singular: dict[str, str] = {}
    for family in FAMILIES.values():
        for name in family.names:
            if plural(name) not in ("axes",):
                assert singular.setdefault(plural(name), name) in (name, plural(name), name.removesuffix("s")), name
