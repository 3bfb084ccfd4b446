"""Animals, in the order that pools are filled in."""

from __future__ import annotations

from enpointe.data.procedural.families.birds import BIRD, DUCK, PENGUIN
from enpointe.data.procedural.families.farm import COW, HORSE, PIG, SHEEP
from enpointe.data.procedural.families.pets import CAT, DOG, RABBIT
from enpointe.data.procedural.families.wild import ELEPHANT, FISH, GIRAFFE
from enpointe.data.procedural.family import Family

FAMILIES: tuple[Family, ...] = (
    DOG,
    CAT,
    HORSE,
    ELEPHANT,
    RABBIT,
    BIRD,
    DUCK,
    PENGUIN,
    FISH,
    SHEEP,
    COW,
    PIG,
    GIRAFFE,
)
