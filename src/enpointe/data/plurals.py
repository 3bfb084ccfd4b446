"""Nouns in the plural."""

from __future__ import annotations

import re

_IRREGULAR = {
    "human": "humans", "man": "men", "person": "people", "child": "children", "foot": "feet", "goose": "geese",
    "mouse": "mice", "knife": "knives", "shelf": "shelves", "leaf": "leaves", "loaf": "loaves", "wolf": "wolves",
    "sheep": "sheep", "fish": "fish", "deer": "deer", "aircraft": "aircraft",
    "cactus": "cacti", "scissors": "scissors", "stairs": "stairs", "trousers": "trousers", "drums": "drums",
}  # fmt: skip
"""By how words end: "bookshelf" too."""
_WHOLE = {"flower in a pot": "flowers in pots", "woman in a dress": "women in dresses"}
_HEAD = re.compile(r" (?:of|with|in|on|under|for|from) ")


def plural(noun: str) -> str:
    """ "tomato" -> "tomatoes", "oak tree" -> "oak trees", "crate of carrots" -> "crates of carrots"."""
    if noun in _WHOLE:
        return _WHOLE[noun]
    split = _HEAD.search(noun)
    head, rest = (noun[: split.start()], noun[split.start() :]) if split else (noun, "")
    *before, last = head.split(" ")
    return " ".join([*before, _plural(last)]) + rest


def _plural(word: str) -> str:
    for ending, several in _IRREGULAR.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + several
    if re.search(r"(?:[sxz]|[cs]h|ato)$", word):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search(r"[^aeiou]y$", word) else f"{word}s"
