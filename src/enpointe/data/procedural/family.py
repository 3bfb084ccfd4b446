"""A family assembles objects: solids with named paint slots, and the words that describe them.

Frame of an assembly: z up, the front faces -y (the way of glTF files brought to z up). Any unit
of length: the sampled cloud is brought to the unit frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.data.procedural import solids
from enpointe.data.procedural.solids import Array, Faces, Solid

T = TypeVar("T")


@dataclass(frozen=True)
class Slot:
    """Parts that share one paint.

    `natural` are the colors that the thing usually has; with probability `paint` it has any other.
    `label` is what a caption calls these parts ("wheels", "a roof"); without it they are never named.
    The first slot of a family is the one that gives the whole thing its color.
    """

    name: str
    natural: tuple[str, ...]
    label: str = ""
    paint: float = 0.0


@dataclass(frozen=True)
class Part:
    """A solid placed in the object: p_object = rotation @ p_solid + position."""

    slot: str
    solid: Solid
    rotation: Array
    position: Array


@dataclass
class Assembly:
    """The parts of one object, and words for its shape."""

    parts: list[Part] = field(default_factory=list)
    adjectives: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)

    def mesh(self) -> tuple[Array, Faces, NDArray[np.int64]]:
        """All vertices (v, 3), faces (f, 3) and the part of each face (f,)."""
        vertices, faces, owner, start = [], [], [], 0
        for i, part in enumerate(self.parts):
            v, f = part.solid.mesh()
            vertices.append(v @ part.rotation.T + part.position)
            faces.append(f + start)
            owner.append(np.full(len(f), i))
            start += len(v)
        return np.concatenate(vertices), np.concatenate(faces), np.concatenate(owner)

    def sdf(self, points: Array) -> Array:
        """Signed distance (n,) of the union at points (n, 3): exact outside, a lower bound inside."""
        return np.min([p.solid.sdf((points - p.position) @ p.rotation) for p in self.parts], axis=0)


class Builder:
    """Adds parts to an assembly, and draws its proportions.

    `rot` is (x, y, z) in degrees, turned about x first, then y, then z.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.assembly = Assembly()

    # Drawing proportions

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    # Words

    def adjective(self, word: str) -> None:
        """Something that a caption may put before the noun: "tall"."""
        self.assembly.adjectives.append(word)

    def phrase(self, words: str) -> None:
        """Something that a caption may put after the noun: "with four legs"."""
        self.assembly.phrases.append(words)

    # Parts

    def add(self, slot: str, solid: Solid, at: ArrayLike = (0, 0, 0), rot: ArrayLike = (0, 0, 0)) -> None:
        self.assembly.parts.append(Part(slot, solid, rotation(rot), np.asarray(at, dtype=float)))

    def box(self, slot: str, size: Sequence[float], at: ArrayLike = (0, 0, 0), rot: ArrayLike = (0, 0, 0)) -> None:
        """A box of full extent `size`, centered at `at`."""
        x, y, z = size
        self.add(slot, solids.Box((x, y, z)), at, rot)

    def ball(self, slot: str, radius: float, at: ArrayLike = (0, 0, 0)) -> None:
        self.add(slot, solids.Ellipsoid((radius, radius, radius)), at)

    def ellipsoid(
        self, slot: str, radii: Sequence[float], at: ArrayLike = (0, 0, 0), rot: ArrayLike = (0, 0, 0)
    ) -> None:
        x, y, z = radii
        self.add(slot, solids.Ellipsoid((x, y, z)), at, rot)

    def cylinder(
        self, slot: str, radius: float, height: float, at: ArrayLike = (0, 0, 0),
        rot: ArrayLike = (0, 0, 0), top: float | None = None,
    ) -> None:  # fmt: skip
        """A cylinder along z, centered at `at`; with `top` a cone frustum (0 makes a cone)."""
        self.add(slot, solids.Frustum(radius, radius if top is None else top, height), at, rot)

    def torus(
        self, slot: str, radius: float, tube: float, at: ArrayLike = (0, 0, 0), rot: ArrayLike = (0, 0, 0)
    ) -> None:
        """A ring around z (turn it by rot=(0, 90, 0) for a wheel whose axle is x)."""
        self.add(slot, solids.Torus(radius, tube), at, rot)

    def prism(
        self,
        slot: str,
        outline: Sequence[Sequence[float]],
        depth: float,
        at: ArrayLike = (0, 0, 0),
        rot: ArrayLike = (0, 0, 0),
    ) -> None:
        """A polygon in the xy plane, extruded by `depth` along z and centered in z.

        `side` outlines drawn as (y, z) become upright, thick along x, with rot=UPRIGHT_X.
        """
        self.add(slot, solids.Prism(tuple((float(x), float(y)) for x, y in outline), depth), at, rot)

    def revolve(
        self, slot: str, profile: Sequence[Sequence[float]], at: ArrayLike = (0, 0, 0), rot: ArrayLike = (0, 0, 0)
    ) -> None:
        """A closed polygon of (radius, z) points turned around z; `at` is where its (0, 0) goes."""
        self.add(slot, solids.Revolve(tuple((float(r), float(z)) for r, z in profile)), at, rot)

    def rod(self, slot: str, start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None) -> None:
        """A round bar with flat ends from `start` to `end`."""
        position, turn, length = _between(start, end)
        solid = solids.Frustum(radius, radius if end_radius is None else end_radius, length)
        self.assembly.parts.append(Part(slot, solid, turn, position))

    def limb(self, slot: str, start: ArrayLike, end: ArrayLike, radius: float) -> None:
        """A bar with round ends from `start` to `end`."""
        position, turn, length = _between(start, end)
        self.assembly.parts.append(Part(slot, solids.Capsule(radius, length), turn, position))

    def path(self, slot: str, points: Sequence[ArrayLike], radius: float) -> None:
        """Limbs through all the points: a bent tube."""
        for start, end in pairwise(points):
            self.limb(slot, start, end, radius)


UPRIGHT_X = (90.0, 0.0, 90.0)
"""Rotation that makes a prism's outline (u, v) lie at y = u, z = v, thick along x."""
UPRIGHT_Y = (90.0, 0.0, 0.0)
"""Rotation that makes a prism's outline (u, v) lie at x = u, z = v, thick along y."""


@dataclass(frozen=True)
class Family:
    """One noun: how its objects are built, what they are called, how they may be painted."""

    name: str
    category: str
    names: tuple[str, ...]
    slots: tuple[Slot, ...]
    build: Callable[[Builder], None]

    def assemble(self, rng: np.random.Generator) -> Assembly:
        """A new object of this family; the generator decides its proportions."""
        builder = Builder(rng)
        self.build(builder)
        known = {slot.name for slot in self.slots}
        for part in builder.assembly.parts:
            if part.slot not in known:
                raise ValueError(f"family {self.name}: a part is painted {part.slot!r}, expected one of {known}")
        return builder.assembly


def rotation(rot: ArrayLike) -> Array:
    """Matrix of a turn by degrees about x, then y, then z."""
    a, b, c = np.deg2rad(np.asarray(rot, dtype=float))
    sa, ca, sb, cb, sc, cc = np.sin(a), np.cos(a), np.sin(b), np.cos(b), np.sin(c), np.cos(c)
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _between(start: ArrayLike, end: ArrayLike) -> tuple[Array, Array, float]:
    """Center, rotation that turns z into the direction, and length."""
    a, b = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.linalg.norm(b - a))
    z = (b - a) / length if length > 1e-9 else np.array([0.0, 0, 1])
    helper = np.array([1.0, 0, 0]) if abs(z[0]) < 0.9 else np.array([0, 1.0, 0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return (a + b) / 2, np.stack([x, np.cross(z, x), z], axis=1), max(length, 1e-9)
