"""The procedural families as a source of assets: any number of them, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.captions import caption, draw_paint
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES, RARE
from enpointe.data.procedural.family import Assembly, Family
from enpointe.io.assets.model import Material, Model

_NAMED_SHARE = 0.01
"""A part of less of the surface is not worth a word."""


@dataclass(frozen=True)
class Procedural:
    """`n` objects, the families in turn, rare ones every third time. The same seed gives the same objects.

    Raises:
        InputError: `n` is not positive.
    """

    n: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"procedural: expected at least one object, found {self.n}")

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Asset]:
        turns = [name for turn in range(3) for name in FAMILIES if turn == 0 or name not in RARE]
        return (_asset(FAMILIES[turns[i % len(turns)]], i, self.seed) for i in range(self.n))


@dataclass(frozen=True)
class _Drawn:
    assembly: Assembly
    colors: NDArray[np.float64]
    caption: str


def _asset(family: Family, index: int, seed: int) -> Asset:
    return Asset(
        key=f"procedural/{seed}/{index:08d}/{family.name}",
        name=family.name,
        nouns=family.names,
        tags=(),
        category=family.category,
        licence="MIT",
        creator="the enpointe authors",
        source="procedural families",
        load=partial(load_procedural, family.name, index, seed),
        captions=(_draw(family, index, seed).caption,),
    )


def _draw(family: Family, index: int, seed: int) -> _Drawn:
    rng = np.random.default_rng([seed, index])
    assembly = family.assemble(rng)
    paint = draw_paint(family, rng)
    colors = np.array([shade(paint[slot.name], rng) for slot in family.slots])
    present = shown_slots(assembly)
    return _Drawn(assembly, colors, caption(family, paint, present, assembly.adjectives, assembly.phrases, rng))


def shown_slots(assembly: Assembly) -> set[str]:
    """The paint slots that cover enough of an assembly's surface to be worth a word."""
    vertices, faces, owner = assembly.mesh()
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.bincount(owner, np.linalg.norm(np.cross(b - a, c - a), axis=1), len(assembly.parts))
    shown: dict[str, float] = {}
    for part, share in zip(assembly.parts, area / area.sum(), strict=True):
        shown[part.slot] = shown.get(part.slot, 0.0) + float(share)
    return {slot for slot, share in shown.items() if share > _NAMED_SHARE}


def load_procedural(family_name: str, index: int, seed: int) -> Model:
    """Object `index` of `Procedural(n, seed)`: its parts' own triangles, also where they lie in one another."""
    family = FAMILIES[family_name]
    drawn = _draw(family, index, seed)
    vertices, faces, owner = drawn.assembly.mesh()
    slots = {slot.name: number for number, slot in enumerate(family.slots)}
    slot_of_part = np.array([slots[part.slot] for part in drawn.assembly.parts])
    f = len(faces)
    return Model(
        triangles=vertices[faces],
        uv=np.zeros((f, 3, 2), np.float32),
        shade=np.ones((f, 3, 3), np.float32),
        material=slot_of_part[owner],
        materials=tuple(Material(color.astype(np.float32)) for color in drawn.colors),
    )
