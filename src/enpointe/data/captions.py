"""What is said of a procedural object: its noun, its paint, its shape, its parts."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

import numpy as np

from enpointe.data.procedural.colors import PAINT, SYNONYMS
from enpointe.data.procedural.recipe import Family, Slot

Paint = dict[str, str]
"""Slot name -> colour name."""


def held_out(family: str, colour: str) -> bool:
    """Whether no training caption may put this colour on this noun (about one pair in twelve)."""
    return zlib.crc32(f"{family}/{colour}".encode()) % 12 == 0


def draw_paint(family: Family, rng: np.random.Generator) -> Paint:
    """Colours for every slot, held-out pairs left out."""
    main = family.slots[0]
    paint = {slot.name: _colour(slot, rng) for slot in family.slots}
    while held_out(family.name, paint[main.name]):
        paint[main.name] = _colour(main, rng)
    return paint


def caption(
    family: Family,
    paint: Paint,
    present: Collection[str],
    adjectives: Sequence[str],
    phrases: Sequence[str],
    rng: np.random.Generator,
) -> str:
    """One of the many ways to say what the object is.

    A colour that the thing does not usually have is always said. Only slots that are `present`, worn
    by some part of this very object, are named.
    """
    main, *others = family.slots
    noun = family.names[0] if rng.random() < 0.6 else str(rng.choice(family.names))
    words = [a for a in adjectives if a and a not in noun and rng.random() < 0.3]
    say_colour = paint[main.name] not in main.natural or rng.random() < 0.85
    colour = colour_word(paint[main.name], rng)
    trailing = say_colour and rng.random() < 0.05
    if say_colour and not trailing:
        words.append(colour)
    phrase = " ".join([*words, noun])
    if rng.random() < 0.8:
        phrase = with_article(phrase)
    features = [p for p in phrases if p and p not in noun and rng.random() < 0.3][:1]
    spoken = " ".join(features)
    said = [
        slot
        for slot in others
        if slot.said and slot.name in present and slot.said.split()[-1] not in f"{noun} {spoken}"
    ]
    rng.shuffle(said)
    parts = [
        _part(slot.said, colour_word(paint[slot.name], rng))
        for slot in said
        if rng.random() < (0.15 if paint[slot.name] in slot.natural else 0.9)
    ][:2]
    if parts:
        features.append(("and " if spoken.startswith("with ") else "with ") + " and ".join(parts))
    if features:
        phrase += " " + " ".join(features)
    return phrase + f", {colour}" if trailing else phrase


PLURAL = ("drums", "scissors")
"""Nouns that take no article."""


def with_article(phrase: str) -> str:
    """ "red car" -> "a red car", "red scissors" as it is."""
    if phrase.endswith(PLURAL) and " of " not in phrase:
        return phrase
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"


def _part(said: str, colour: str) -> str:
    article, _, rest = said.partition(" ")
    return with_article(f"{colour} {rest}") if article in ("a", "an") and rest else f"{colour} {said}"


def colour_word(colour: str, rng: np.random.Generator) -> str:
    """The colour's word, now and then another word for it."""
    if colour in SYNONYMS and rng.random() < 0.15:
        return str(rng.choice(SYNONYMS[colour]))
    return colour


def _colour(slot: Slot, rng: np.random.Generator) -> str:
    options = PAINT if rng.random() < slot.paint else slot.natural
    return options[int(rng.integers(len(options)))]
