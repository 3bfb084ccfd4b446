"""The things that the embedded base model was trained on, and the words that its captions had for them.

Needs no PyTorch, so that `enpointe models show pocket` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

VOCABULARY = Path(__file__).with_name("vocabulary.json")


@dataclass(frozen=True)
class Thing:
    """One kind of object.

    Attributes:
        names: the usual noun first, then synonyms.
        adjectives, parts, phrases, materials: words of captions: "tall", "wheels", "with a spoiler", "wooden".
    """

    names: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The usual noun."""
        return self.names[0]

    def joined(self, other: Thing) -> Thing:
        """A thing that may be either, under the names of this one."""
        words = {key: (*dict.fromkeys((*value, *getattr(other, key))),) for key, value in vars(self).items()}
        return replace(self, **{**words, "names": self.names})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Thing:
        """A thing from plain JSON values."""
        return cls(**{key: tuple(words) for key, words in value.items()})


@lru_cache(maxsize=1)
def embedded_things() -> tuple[Thing, ...]:
    """What the embedded weights know, in alphabetical order."""
    values: dict[str, dict[str, Any]] = json.loads(VOCABULARY.read_text(encoding="utf-8"))
    return tuple(Thing.from_json(value) for value in values.values())


def things_of(info: Mapping[str, Any]) -> tuple[Thing, ...]:
    """What the weights with this header know.

    The header lists it under "vocabulary". Older ones have "nouns" alone: then it is the packaged things that have
    one of them for a name, and each other noun stands for itself.
    """
    if "vocabulary" in info:
        return tuple(Thing.from_json(value) for value in info["vocabulary"])
    listed = set(info["nouns"])
    known = [thing for thing in embedded_things() if listed.intersection(thing.names)]
    named = {name for thing in known for name in thing.names}
    return (*known, *(Thing((noun,)) for noun in info["nouns"] if noun not in named))
