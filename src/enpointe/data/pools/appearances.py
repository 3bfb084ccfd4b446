"""How the objects of a pool look in one draw, and the captions that go with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from enpointe.data.captions import Named, Paint, caption, draw_paint, scene_caption
from enpointe.data.pools.models import RealModel
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.family import Family
from enpointe.data.procedural.scenes import Scene

SHOWN = 0.01
"""Share of the points on which a part must show to be worth a word."""


@dataclass(frozen=True)
class Appearance:
    """How an object is painted in one draw.

    Attributes:
        rgb: (slots, 3) in [0, 1], a color for each paint slot.
        color: the word for the main color, in a scene for that of what is named first; None for a real model in its
            own colors.
        caption: makes one of the captions that are true of it.
    """

    rgb: NDArray[np.float32]
    color: str | None
    caption: Callable[[np.random.Generator], str]


def of_model(model: RealModel, rng: np.random.Generator) -> Appearance:
    rgb, painted = model.draw_colors(rng)
    return Appearance(rgb, painted, partial(model.caption, painted))


def of_family(
    family: Family, slot: NDArray[np.uint8], words: tuple[Sequence[str], Sequence[str]], rng: np.random.Generator
) -> Appearance:
    """Of an object whose points have those slots (P,), and which is said to be so."""
    paint = draw_paint(family, rng)
    rgb = _shades(family, paint, rng)
    present = _present([one.name for one in family.slots], slot)
    adjectives, phrases = words
    return Appearance(
        rgb, paint[family.slots[0].name], lambda rng: caption(family, paint, present, adjectives, phrases, rng)
    )


def of_scene(scene: Scene, slot: NDArray[np.uint8], rng: np.random.Generator) -> Appearance:
    """Of a scene whose points have those slots (P,)."""
    present = _present(scene.slots, slot)
    named, colors = [], []
    for number, (member, family) in enumerate(zip(scene.members, scene.families, strict=True)):
        paint = draw_paint(family, rng)
        shown = {one.name for one in family.slots if f"{number}/{one.name}" in present}
        named.append(Named(family, paint, shown, member.count))
        colors.append(_shades(family, paint, rng))
    first = named[0]
    return Appearance(
        np.concatenate(colors),
        first.paint[first.family.slots[0].name],
        lambda rng: scene_caption(named, scene.relation, rng),
    )


def _shades(family: Family, paint: Paint, rng: np.random.Generator) -> NDArray[np.float32]:
    return np.array([shade(paint[slot.name], rng) for slot in family.slots], dtype=np.float32)


def _present(names: Sequence[str], slot: NDArray[np.uint8]) -> set[str]:
    shown = np.bincount(slot, minlength=len(names)) > SHOWN * len(slot)
    return {name for name, some in zip(names, shown, strict=True) if some}
