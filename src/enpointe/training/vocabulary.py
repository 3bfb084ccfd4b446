"""What captions say of the things that a model is trained on, for the header of its weights."""

from __future__ import annotations

from collections.abc import Iterable

from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.colors import MATERIALS
from enpointe.data.procedural.families import FAMILIES


def vocabulary(pool: Pool, objects: Iterable[int]) -> list[dict[str, list[str]]]:
    """The families among a pool's objects, by name, with the words that captions of these objects can have.

    Returns:
        for each family what `pipelines.families.pocket.things.Thing.from_json` reads: names, the usual one first,
        adjectives, parts, phrases and materials. Real models have no family and are left out.
    """
    words: dict[str, tuple[set[str], set[str]]] = {}
    for index in objects:
        if pool.model(index) is None:
            adjectives, phrases = words.setdefault(pool.family[index], (set(), set()))
            adjectives.update(filter(None, pool.words[index][0]))
            phrases.update(filter(None, pool.words[index][1]))
    things = []
    for name in sorted(words, key=lambda name: FAMILIES[name].names[0]):
        family = FAMILIES[name]
        natural = {color for slot in family.slots for color in slot.natural}
        adjectives, phrases = words[name]
        things.append(
            {
                "names": list(family.names),
                "adjectives": sorted(adjectives),
                "parts": [slot.label for slot in family.slots if slot.label],
                "phrases": sorted(phrases),
                "materials": sorted(natural.intersection(MATERIALS)),
            }
        )
    return things
