"""Every procedural family, by name."""

from __future__ import annotations

from importlib import import_module

from enpointe.datagen.procedural.recipe import Family

_ROOMS = ("vehicles", "music", "furniture", "kitchen", "tools", "plants", "buildings", "animals", "people")

FAMILIES: dict[str, Family] = {
    family.name: family for room in _ROOMS for family in import_module(f"{__name__}.{room}").FAMILIES
}
