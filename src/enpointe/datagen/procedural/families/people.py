"""People."""

from __future__ import annotations

from enpointe.datagen.procedural.recipe import Family

FAMILIES: tuple[Family, ...] = ()
