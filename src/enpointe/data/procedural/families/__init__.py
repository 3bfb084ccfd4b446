"""Every procedural family, by name."""

from __future__ import annotations

from importlib import import_module

from enpointe.data.procedural.family import Family

_ROOMS = (
    "vehicles", "cycles", "rail", "boats", "flight", "music", "strings", "furniture", "kitchen", "tools",
    "plants", "buildings", "animals", "people",
)  # fmt: skip

FAMILIES: dict[str, Family] = {
    family.name: family for room in _ROOMS for family in import_module(f"{__name__}.{room}").FAMILIES
}

RARE = frozenset(
    ("pickup truck", "rowing boat", "grand piano", "drum kit", "trumpet", "desk", "wardrobe", "bench", "bowl",
     "pot", "spoon", "fork", "knife", "plate", "mallet", "screwdriver", "saw", "key", "wrench", "shovel",
     "scissors", "broom", "pencil", "pear", "carrot", "pineapple", "tower", "church", "skyscraper", "penguin",
     "bird", "sheep", "cow", "pig", "woman", "violin")
)  # fmt: skip
"""Families that pools and shards hold a third as many of: variants of a common one, or less often requested."""

CYCLE: tuple[str, ...] = tuple(name for turn in range(3) for name in FAMILIES if turn == 0 or name not in RARE)
"""The order, again and again, in which pools and shards are filled: every family, rare ones every third time."""
