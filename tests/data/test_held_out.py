"""Held-out pairs of color and noun are in no caption, whatever it is a caption of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from enpointe.data.held_out import held_out, name_held_out, without_held_out
from enpointe.data.plurals import plural
from enpointe.data.pools import pool
from enpointe.data.pools.models import RealModel
from enpointe.data.procedural.colors import COLORS, PAINT, SYNONYMS
from enpointe.data.procedural.families import FAMILIES

SPOKEN = {word: color for color in COLORS for word in (color, *SYNONYMS.get(color, ()))}
CALLED: dict[str, set[str]] = {}
"""Name in either number -> families."""
for _family in FAMILIES.values():
    for _name in (_family.name, *_family.names):
        for _form in (_name, plural(_name)):
            CALLED.setdefault(_form, set()).add(_family.name)
MATERIALS = {
    "wood": "wooden",
    "metal": "metal",
    "stone": "stone",
    "bricks": "brick",
    "silver": "silver",
    "gold": "golden",
}


def longest(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


NOUN = re.compile(rf"\b({longest(CALLED)})(?:, ({longest(SPOKEN)})| made of (\w+))? ?$")
COLOR = re.compile(rf"\b({longest(SPOKEN)})\b")
RELATION = r"beside|next to|in front of|behind|on top of|standing on|on"


def pairs(text: str) -> set[tuple[str, str]]:
    """The pairs of family and color that a caption puts together, a phrase at a time; parts are no things."""
    found = set()
    text = re.sub(rf" with .*?(?= (?:{RELATION}) |, [a-z ]+$|$)", "", text)
    for phrase in re.split(rf"\b(?:{RELATION}|and)\b", text):
        noun = NOUN.search(phrase)
        if noun is None:
            continue
        colors = [SPOKEN[word] for word in COLOR.findall(phrase[: noun.start()])]
        colors += [SPOKEN[noun[2]]] if noun[2] else []
        colors += [MATERIALS[noun[3]]] if noun[3] else []
        found |= {(family, color) for family in CALLED[noun[1]] for color in colors}
    return found


def forbidden(text: str) -> list[tuple[str, str]]:
    return sorted(pair for pair in pairs(text) if held_out(*pair))


def test_the_check_itself() -> None:
    assert held_out("motorcycle", "pink")
    for text in (
        "a pink motorbike",
        "a motorcycle with blue wheels and a red seat, pink",
        "two pink motorcycles",
        "a red car beside a pink motorbike",
        "a motorcycle, pink",
    ):
        assert forbidden(text) == [("motorcycle", "pink")]
    assert not forbidden("a red motorcycle with a pink seat")
    assert pairs("a small dark blue chair made of wood and a table") == {("chair", "dark blue"), ("chair", "wooden")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red chair", "a chair"),
        ("an old red wooden chair with red legs", "an old wooden chair with red legs"),
        ("two crimson chairs", "two chairs"),
        ("a red apple and a red chair", "a red apple and a chair"),
        ("a table, a red chair", "a table, a chair"),
        ("a dark red chair", "a dark red chair"),
        ("a red armchair", "a red armchair"),
        ("a golden easy chair", "a golden easy chair"),
        ("a gold motorcycle", "a motorcycle"),
        ("A pink airplane beside a grey motorbike", "A pink airplane beside a motorbike"),
        ("an orange pickup", "a pickup"),
        ("a chair", "a chair"),
        ("", ""),
    ],
)
def test_colours_that_are_held_out_are_taken_from_a_caption(text: str, expected: str) -> None:
    assert without_held_out(text) == expected


def test_every_family_has_a_name_in_every_colour_that_it_may_have() -> None:
    for family in FAMILIES.values():
        for color in COLORS:
            if not held_out(family.name, color):
                assert not all(name_held_out(name, color) for name in family.names), (family.name, color)


@pytest.fixture(scope="module")
def drawn_from(tmp_path_factory: pytest.TempPathFactory) -> pool.Pool:
    path = tmp_path_factory.mktemp("pairs") / "pool"
    pool.build(path, n_clouds=93, n_scenes=60, n_points=64, n_queries=4, workers=1)
    return pool.read(path)


@pytest.mark.slow
def test_no_draw_of_a_family_or_a_scene_says_such_a_pair(drawn_from: pool.Pool) -> None:
    said: set[tuple[str, str]] = set()
    for seed in range(25):
        for index in range(len(drawn_from)):
            text = drawn_from.appearance(index, np.random.default_rng([seed, index])).caption(
                np.random.default_rng([index, seed])
            )
            assert not forbidden(text), text
            said |= pairs(text)
    assert len(said) > 900


@pytest.mark.slow
def test_no_draw_of_a_model_says_such_a_pair() -> None:
    """Models of every name, some of whose own words say the pair."""
    own = np.array([[0.5, 0.1, 0.1]], np.float32)
    said: set[tuple[str, str]] = set()
    for name in CALLED:
        for color in PAINT[::2] if len(name) % 2 else PAINT[1::2]:
            nouns = (f"{color} {name}", f"small {name}", name)
            model = RealModel("m", nouns, own, "", "", "", (1.0,))
            for seed in range(6):
                rng = np.random.default_rng(seed)
                text = model.caption(model.draw_colors(rng)[1], rng)
                assert not forbidden(text), text
                said |= pairs(text)
    assert len(said) > 0.5 * len(FAMILIES) * len(PAINT)


def test_it_takes_no_time_over_a_long_caption(tmp_path: Path) -> None:
    text = "a very long and winding tale about nothing at all, told by nobody " * 8
    assert without_held_out(text) == text
