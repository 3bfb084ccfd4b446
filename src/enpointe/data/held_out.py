"""Pairs of a color and a noun that no training caption has, to see whether a model can put known things together."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import cache

from enpointe.data.plurals import plural
from enpointe.data.procedural.colors import COLORS, SYNONYMS


def held_out(family: str, color: str) -> bool:
    """Whether no training caption may put this color on this noun (about one pair in twelve)."""
    return zlib.crc32(f"{family}/{color}".encode()) % 12 == 0


def name_held_out(name: str, color: str) -> bool:
    """As `held_out`, of any family that is called so: a pickup in a color that is held out for trucks is no "truck"."""
    return any(held_out(family, color) for family in _families().get(name, ()))


def without_held_out(text: str) -> str:
    """A caption without the colors that it puts on nouns for which they are held out: "a red chair" -> "a chair"."""
    cut: set[tuple[int, int]] = set()
    for noun in _name().finditer(text):
        start = max((stop.end() for stop in _STOP.finditer(text, 0, noun.start())), default=0)
        for color in _color().finditer(text, start, noun.start()):
            if name_held_out(noun[0], _COLOR_OF[color[0]]):
                cut.add(color.span())
    for begin, end in sorted(cut, reverse=True):
        text = text[:begin] + text[end:].removeprefix(" ")
    return re.sub(r"\b([Aa])n? (?=(\w))", _article, text) if cut else text


_COLOR_OF = {word: color for color in COLORS for word in (color, *SYNONYMS.get(color, ()))}


@cache
def _families() -> dict[str, tuple[str, ...]]:
    """Name, in either number, -> the families that are called so."""
    from enpointe.data.procedural.families import FAMILIES  # hundreds of parts, needed by few of those who import this

    names: dict[str, tuple[str, ...]] = {}
    for family in FAMILIES.values():
        called = (family.name, *family.names)
        for name in dict.fromkeys((*called, *map(plural, called))):
            names[name] = (*names.get(name, ()), family.name)
    return names


@cache
def _color() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_longest_first(_COLOR_OF)})\b")


@cache
def _name() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_longest_first(_families())})\b(?![-'])")


_STOP = re.compile(r"[,.;:]|\b(?:with|of|on|in|and|beside|next|behind|under|made)\b")
"""What ends a noun's own phrase."""


def _longest_first(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def _article(match: re.Match[str]) -> str:
    return f"{match[1]}n " if match[2].lower() in "aeiou" else f"{match[1]} "
