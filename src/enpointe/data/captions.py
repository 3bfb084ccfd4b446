"""Captions of procedural objects: their noun, their paint, their shape, their parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from enpointe.data.held_out import held_out, name_held_out
from enpointe.data.plurals import plural
from enpointe.data.procedural.colors import PAINT, SYNONYMS
from enpointe.data.procedural.family import Assembly, Family, Slot

Paint = dict[str, str]
"""Slot name -> color name."""

_NAMED_SHARE = 0.01
"""A slot that covers less of the surface is not worth a word."""
_PARTS = 0.5
"""How often parts are named though their colors are the usual ones."""
_PART_PAINTED = 0.3
"""How often one part has any color, so that "a blue car with yellow wheels" is nothing rare."""
_MADE_OF = {
    "wooden": "wood",
    "metal": "metal",
    "stone": "stone",
    "brick": "bricks",
    "silver": "silver",
    "golden": "gold",
}


def draw_paint(family: Family, rng: np.random.Generator) -> Paint:
    """Colors for every slot, held-out pairs left out."""
    main, *others = family.slots
    paint = {slot.name: _color(slot, rng) for slot in family.slots}
    while held_out(family.name, paint[main.name]):
        paint[main.name] = _color(main, rng)
    labeled = [slot.name for slot in others if slot.label]
    if labeled and rng.random() < _PART_PAINTED:
        paint[str(rng.choice(labeled))] = str(rng.choice(PAINT))
    return paint


def shown_slots(assembly: Assembly) -> set[str]:
    """The paint slots that cover enough of an assembly's surface to be worth a word."""
    vertices, faces, owner = assembly.mesh()
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.bincount(owner, np.linalg.norm(np.cross(b - a, c - a), axis=1), len(assembly.parts))
    shown: dict[str, float] = {}
    for part, share in zip(assembly.parts, area / area.sum(), strict=True):
        shown[part.slot] = shown.get(part.slot, 0.0) + float(share)
    return {slot for slot, share in shown.items() if share > _NAMED_SHARE}


def caption(
    family: Family,
    paint: Paint,
    present: Collection[str],
    adjectives: Sequence[str],
    phrases: Sequence[str],
    rng: np.random.Generator,
) -> str:
    """One of the many captions of an object.

    A color that the thing does not usually have is always named; of parts one or two, those in unusual colors first,
    and only if their slot is `present`: some part of this very object has it.
    """
    main, *others = family.slots
    noun = draw_name(family, paint, rng)
    words = [a for a in adjectives if a and a not in noun and rng.random() < 0.3]
    name_color = paint[main.name] not in main.natural or rng.random() < 0.85
    color = color_word(paint[main.name], rng)
    trailing, made_of = "", ""
    if name_color and rng.random() < 0.05:
        trailing = f", {color}"
    elif name_color and paint[main.name] in _MADE_OF and rng.random() < 0.25:
        made_of = f" made of {_MADE_OF[paint[main.name]]}"
    elif name_color:
        words.append(color)
    phrase = " ".join([*words, noun])
    if rng.random() < 0.8:
        phrase = with_article(phrase)
    phrase += made_of
    features = [p for p in phrases if p and p not in noun and rng.random() < 0.3][:1]
    shape = " ".join(features)
    named = [
        slot
        for slot in others
        if slot.label and slot.name in present and slot.label.split()[-1] not in f"{noun} {shape}"
    ]
    rng.shuffle(named)
    unusual = [slot for slot in named if paint[slot.name] not in slot.natural]
    usual = [slot for slot in named if slot not in unusual and rng.random() < _PARTS]
    most = 1 if rng.random() < 0.6 else 2
    parts = [_part(slot.label, color_word(paint[slot.name], rng)) for slot in (*unusual, *usual)[:most]]
    if parts:
        features.append(("and " if shape.startswith("with ") else "with ") + " and ".join(parts))
    if features:
        phrase += " " + " ".join(features)
    return phrase + trailing


def draw_name(family: Family, paint: Paint, rng: np.random.Generator, *, countable: bool = False) -> str:
    """One of a family's names, mostly the first, but none for which another family's color is held out, and none
    that has no plural where it must be `countable`."""
    color = paint[family.slots[0].name]
    names = [n for n in family.names if not name_held_out(n, color) and not (countable and n in PLURAL)]
    return names[0] if rng.random() < 0.6 else str(rng.choice(names))


@dataclass(frozen=True)
class Named:
    """What a scene's caption says of the objects of one kind: their family, paint, slots that show, and how many."""

    family: Family
    paint: Paint
    present: Collection[str]
    count: int = 1


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
_SAID = {
    "on": (("{0} on {1}", 6), ("{0} on top of {1}", 3), ("{0} standing on {1}", 1)),
    "beside": (("{0} beside {1}", 2), ("{1} beside {0}", 1), ("{0} next to {1}", 2), ("{1} next to {0}", 1),
               ("{0} and {1}", 1), ("{1} and {0}", 1)),
    "in front of": (("{0} in front of {1}", 2), ("{1} behind {0}", 1)),
}  # fmt: skip
"""How a relation is said, and how often."""


def scene_caption(named: Sequence[Named], relation: str, rng: np.random.Generator) -> str:
    """ "two red apples", "a lamp on a brown table": one of the many captions of a scene; see `scenes.Scene`."""
    phrases = [_counted(one, rng) for one in named]
    if not relation:
        return phrases[0]
    ways, often = zip(*_SAID[relation], strict=True)
    return str(rng.choice(ways, p=np.array(often) / sum(often))).format(*phrases)


def _counted(named: Named, rng: np.random.Generator) -> str:
    """ "two blue cars with yellow wheels". What is unusual is always said, of one part now and then."""
    family, paint = named.family, named.paint
    main, *others = family.slots
    name = draw_name(family, paint, rng, countable=True)
    words = [plural(name) if named.count > 1 else name]
    if paint[main.name] not in main.natural or rng.random() < 0.8:
        words.insert(0, color_word(paint[main.name], rng))
    phrase = " ".join(words)
    phrase = with_article(phrase) if named.count == 1 else f"{_NUMBERS[named.count]} {phrase}"
    parts = [
        slot
        for slot in others
        if slot.label and slot.name in named.present and slot.label.split()[-1] not in phrase
        and not (named.count > 1 and slot.label.startswith(("a ", "an ")))
    ]  # fmt: skip
    if parts and rng.random() < 0.25:
        slot = parts[int(rng.integers(len(parts)))]
        phrase += f" with {_part(slot.label, color_word(paint[slot.name], rng))}"
    return phrase


PLURAL = ("drums", "scissors")
"""Nouns that take no article."""


def with_article(phrase: str) -> str:
    """ "red car" -> "a red car", "red scissors" as it is."""
    if phrase.endswith(PLURAL) and " of " not in phrase:
        return phrase
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"


def _part(label: str, color: str) -> str:
    article, _, rest = label.partition(" ")
    return with_article(f"{color} {rest}") if article in ("a", "an") and rest else f"{color} {label}"


def color_word(color: str, rng: np.random.Generator) -> str:
    """The color's word, now and then another word for it."""
    if color in SYNONYMS and rng.random() < 0.15:
        return str(rng.choice(SYNONYMS[color]))
    return color


def _color(slot: Slot, rng: np.random.Generator) -> str:
    options = PAINT if rng.random() < slot.paint else slot.natural
    return options[int(rng.integers(len(options)))]
