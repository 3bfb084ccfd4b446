"""Single objects of the families, painted and captioned: a function of the family, a number and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.data.captions import caption, draw_paint, shown_slots
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.family import Assembly
from enpointe.io.assets.model import Material, Model


@dataclass(frozen=True)
class PaintedObject:
    """An assembly, the colors of its family's slots (slots, 3) in [0, 1], and a caption."""

    assembly: Assembly
    colors: NDArray[np.float64]
    caption: str


def draw_object(family_name: str, index: int, seed: int) -> PaintedObject:
    """Object `index` of a family, the same for the same seed."""
    family = FAMILIES[family_name]
    rng = np.random.default_rng([seed, index])
    assembly = family.assemble(rng)
    paint = draw_paint(family, rng)
    colors = np.array([shade(paint[slot.name], rng) for slot in family.slots])
    present = shown_slots(assembly)
    return PaintedObject(assembly, colors, caption(family, paint, present, assembly.adjectives, assembly.phrases, rng))


def load_object(family_name: str, index: int, seed: int) -> Model:
    """The object of `draw_object` as a model: its parts' own triangles, also where they lie in one another."""
    drawn = draw_object(family_name, index, seed)
    vertices, faces, owner = drawn.assembly.mesh()
    slots = {slot.name: number for number, slot in enumerate(FAMILIES[family_name].slots)}
    slot_of_part = np.array([slots[part.slot] for part in drawn.assembly.parts])
    f = len(faces)
    return Model(
        triangles=vertices[faces],
        uv=np.zeros((f, 3, 2), np.float32),
        shade=np.ones((f, 3, 3), np.float32),
        material=slot_of_part[owner],
        materials=tuple(Material(color.astype(np.float32)) for color in drawn.colors),
    )
