"""What captions say of the things that a model is trained on, for the header of its weights."""

from __future__ import annotations

from enpointe.data.datasets import Dataset, PoolDataset, parts_of
from enpointe.data.procedural.colors import MATERIALS
from enpointe.data.procedural.families import FAMILIES


def vocabulary(data: Dataset) -> list[dict[str, list[str]]]:
    """The families among the objects of pools, by name, with the words that captions of these objects can have.

    Only objects to train on count. Real models, scenes and shards have no family and are left out.

    Returns:
        for each family what `pipelines.families.pocket.things.Thing.from_json` reads: names, the usual one first,
        adjectives, parts, phrases and materials.
    """
    words: dict[str, tuple[set[str], set[str]]] = {}
    for part in parts_of(data):
        if not isinstance(part, PoolDataset):
            continue
        for index in part.split(held_out=False).objects.tolist():
            if part.pool.family[index] in FAMILIES:
                adjectives, phrases = words.setdefault(part.pool.family[index], (set(), set()))
                adjectives.update(filter(None, part.pool.words[index][0]))
                phrases.update(filter(None, part.pool.words[index][1]))
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
