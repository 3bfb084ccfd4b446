"""Several objects at once: a number of one kind, or two kinds that stand beside, before or on each other.

A scene is an assembly of its objects' parts, so that it is sampled and measured as a single object is: what is hidden
is left out, and signed distances are those of the union. Nothing but the truth is recorded: objects of a number and
those beside or before each other are apart, and what stands on something touches it from above and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from enpointe.data.procedural.families import CYCLE, FAMILIES
from enpointe.data.procedural.family import Assembly, Family, Part, rotation
from enpointe.data.procedural.solids import Array, Scaled

ON, BESIDE, BEFORE = "on", "beside", "in front of"
RELATIONS = (ON, BESIDE, BEFORE)
COUNTS = (2, 3, 4, 5)
SUPPORTS = ("table", "table", "table", "desk", "desk", "stool", "bench", "chair", "armchair", "sofa", "bed", "drum")
"""What others are put on, some more often."""
ITEMS = (
    "mug", "bottle", "teapot", "bowl", "vase", "wine glass", "plate", "pot", "frying pan", "lamp", "apple", "pear",
    "pineapple", "banana", "cactus", "potted flower", "mushroom", "cat", "dog", "rabbit", "bird", "duck", "penguin",
    "robot", "drum",
)  # fmt: skip
"""What stands on others."""
_ALONE = ("scissors",)
"""What is not counted: one pair of scissors looks like a number of blades."""
_METERS = {
    "vehicles": 4.0, "music": 1.0, "furniture": 1.2, "kitchen": 0.25, "tools": 0.5, "plants": 0.5, "buildings": 12.0,
    "animals": 1.0, "people": 1.7,
}  # fmt: skip
_METERS_OF = {
    "tree": 6.0, "pine tree": 6.0, "palm tree": 6.0, "apple": 0.1, "pear": 0.1, "banana": 0.2, "carrot": 0.2,
    "mushroom": 0.15, "pineapple": 0.3, "bicycle": 1.7, "motorcycle": 2.0, "elephant": 4.0, "giraffe": 5.0,
    "horse": 2.2, "cow": 2.2, "bird": 0.25, "duck": 0.4, "fish": 0.3, "key": 0.1, "pencil": 0.2, "ladder": 2.5,
}  # fmt: skip
"""Usual longest sides, where they are not those of the category."""
_NEAR = 4.0
"""Two kinds that stand beside each other differ by no more than this factor in life, and by its root in a scene."""
_GAP = (0.08, 0.35)
"""Between objects, in terms of the smaller one's longest side."""
_SEEN = 0.08
"""Least share of a scene's surface that belongs to what stands on something."""
_TRIES = 12
_CELLS = 5
"""Columns along a side of a footprint in which what is put down must find the same height."""
_EVEN = 0.02
"""How much that height may differ, in terms of the support's longest side."""


@dataclass(frozen=True)
class Member:
    """A family, and how many objects of it there are, all painted alike."""

    family: str
    count: int = 1

    def __post_init__(self) -> None:
        if self.family not in FAMILIES or not (isinstance(self.count, int) and self.count >= 1):
            raise ValueError(f"expected a family and a number of its objects, found {self}")


@dataclass(frozen=True)
class Scene:
    """What is in a scene: one member of several objects, or two of which the first stands so to the second.

    Attributes:
        members: in the order of their paint slots.
        relation: one of `RELATIONS`; empty if there is but one member.
    """

    members: tuple[Member, ...]
    relation: str = ""

    def __post_init__(self) -> None:
        fits = self.relation in RELATIONS if len(self.members) == 2 else (len(self.members), self.relation) == (1, "")
        if not fits:
            raise ValueError(f"expected one member, or two and a relation of {RELATIONS}, found {self}")

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(FAMILIES[member.family] for member in self.members)

    @property
    def slots(self) -> tuple[str, ...]:
        """Paint slots, those of one member after those of another: "0/body", "0/wheels", "1/top"."""
        return tuple(f"{i}/{slot.name}" for i, family in enumerate(self.families) for slot in family.slots)

    def header(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"relation": self.relation, "members": [[member.family, member.count] for member in self.members]}

    @staticmethod
    def of_header(header: Mapping[str, Any]) -> Scene:
        """What `header` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return Scene(tuple(Member(family, count) for family, count in header["members"]), header["relation"])


def compose(rng: np.random.Generator) -> tuple[Scene, Assembly]:
    """A scene at random: a number of one kind in four of ten, something on something in three, else two kinds."""
    kind = rng.random()
    if kind < 0.4:
        return _several(rng)
    placed = _upon(rng) if kind < 0.7 else None
    return placed or _two(rng)


def count_of(rng: np.random.Generator) -> int:
    return int(rng.choice(COUNTS, p=(0.45, 0.3, 0.15, 0.1)))


def _several(rng: np.random.Generator) -> tuple[Scene, Assembly]:
    family = _drawn([name for name in CYCLE if name not in _ALONE], rng)
    count = count_of(rng)
    return Scene((Member(family, count),)), Assembly(_group(family, count, rng).parts_of(0))


def _two(rng: np.random.Generator) -> tuple[Scene, Assembly]:
    """Two kinds beside or before each other, of sizes that are not worlds apart."""
    first = _drawn(CYCLE, rng)
    size = _meters(first)
    near = [name for name in CYCLE if name != first and 1 / _NEAR <= _meters(name) / size <= _NEAR]
    second = _drawn(near, rng)
    before = rng.random() < 0.3
    counts = (count_of(rng) if rng.random() < 0.15 else 1, 1)
    one, other = (_group(name, count, rng) for name, count in zip((first, second), counts, strict=True))
    other = other.scaled((_meters(second) / size) ** 0.5)
    axis, sign = (1, -1) if before else (0, int(rng.choice((-1, 1))))
    gap = rng.uniform(*_GAP) * min(one.longest, other.longest)
    reach = (one.size[axis] + other.size[axis]) / 2 + gap
    shift = np.zeros(3)
    shift[axis] = sign * reach
    shift[1 - axis] = rng.uniform(-0.15, 0.15) * min(one.size[1 - axis], other.size[1 - axis])
    scene = Scene((Member(first, counts[0]), Member(second)), BEFORE if before else BESIDE)
    return scene, Assembly([*one.moved(shift).parts_of(0), *other.parts_of(1)])


def _upon(rng: np.random.Generator) -> tuple[Scene, Assembly] | None:
    """Something that stands on something else; None where no place for it is found."""
    name, item = _drawn(SUPPORTS, rng), _drawn(ITEMS, rng)
    count = count_of(rng) if rng.random() < 0.2 and name not in ("stool", "chair", "drum") else 1
    support = _group(name, 1, rng)
    if name == item:
        return None
    load = _group(item, count, rng)
    room = float(support.size[:2].max() if count > 1 else support.size[:2].min())
    largest = min(0.85 * room / float(load.size[:2].max()), 0.9 * support.longest / float(load.size[2]))
    smallest = float(np.sqrt(_SEEN / (1 - _SEEN) * support.area / load.area))
    if smallest > largest:
        return None
    for left in np.linspace(1, 0, _TRIES):
        put = load.scaled(smallest + left * rng.uniform(0.5, 1) * (largest - smallest))
        at = rng.uniform(-0.5, 0.5, 2) * np.maximum(support.size[:2] - put.size[:2], 0)
        height = _height(support, put, at)
        if height is None:
            continue
        put = put.moved(np.array([*at, height - 0.002 * put.size[2]]))
        if not _bump(support, put):
            scene = Scene((Member(item, count), Member(name)), ON)
            return scene, Assembly([*put.parts_of(0), *support.parts_of(1)])
    return None


@dataclass(frozen=True)
class _Group:
    """Objects of one family that are moved together; they stand on z = 0, their box is centered on x = y = 0."""

    parts: tuple[Part, ...]
    size: Array

    @classmethod
    def of(cls, parts: Sequence[Part]) -> _Group:
        low, high = _box(parts)
        shift = -np.array([*((low + high) / 2)[:2], low[2]])
        return cls(tuple(_placed(part, 1.0, np.eye(3), shift) for part in parts), high - low)

    @property
    def longest(self) -> float:
        return float(self.size.max())

    @property
    def area(self) -> float:
        """Of all surfaces, hidden ones too."""
        vertices, faces, _ = Assembly(list(self.parts)).mesh()
        a, b, c = (vertices[faces[:, k]] for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2

    def scaled(self, factor: float) -> _Group:
        parts = tuple(_placed(part, factor, np.eye(3), np.zeros(3)) for part in self.parts)
        return _Group(parts, self.size * factor)

    def turned(self, degrees: float) -> _Group:
        return _Group.of([_placed(part, 1.0, rotation((0, 0, degrees)), np.zeros(3)) for part in self.parts])

    def moved(self, shift: Array) -> _Group:
        return _Group(tuple(_placed(part, 1.0, np.eye(3), shift) for part in self.parts), self.size)

    def parts_of(self, member: int) -> list[Part]:
        """Its parts, their slots named as those of that member of a scene."""
        return [Part(f"{member}/{part.slot}", part.solid, part.rotation, part.position) for part in self.parts]


def _group(family: str, count: int, rng: np.random.Generator) -> _Group:
    """Objects of a family at unit size, apart from each other: in a row, or two rows where there are many."""
    alike = rng.random() < 0.5
    first = _Group.of(FAMILIES[family].assemble(rng).parts)
    found = [first if alike or i == 0 else _Group.of(FAMILIES[family].assemble(rng).parts) for i in range(count)]
    turn = 0.0 if count == 1 else 12.0
    found = [one.scaled(1 / one.longest).turned(rng.uniform(-turn, turn)) for one in found]
    if count == 1:
        return found[0]
    cell = np.max([one.size[:2] for one in found], axis=0) + rng.uniform(*_GAP)
    along = int(np.argmin(cell)) if rng.random() < 0.8 else int(np.argmax(cell))
    columns = count if count < 4 or rng.random() < 0.4 else (count + 1) // 2
    parts: list[Part] = []
    for i, one in enumerate(found):
        at = np.zeros(3)
        at[along], at[1 - along] = i % columns * cell[along], i // columns * cell[1 - along]
        parts += one.moved(at).parts
    return _Group.of(parts)


def _height(support: _Group, put: _Group, at: Array) -> float | None:
    """The height at which a support, seen from above, is even under all of a footprint centered there."""
    span = np.linspace(-0.5, 0.5, _CELLS)
    x, y = (part.ravel() for part in np.meshgrid(at[0] + span * put.size[0], at[1] + span * put.size[1]))
    levels = np.linspace(support.size[2] * 1.001, 0, 200)
    columns = np.stack([np.repeat(x, len(levels)), np.repeat(y, len(levels)), np.tile(levels, len(x))], axis=1)
    inside = (Assembly(list(support.parts)).sdf(columns) < 0).reshape(len(x), -1)
    if not inside.any(axis=1).all():
        return None
    found = levels[inside.argmax(axis=1)]
    return float(found.max()) if np.ptp(found) <= _EVEN * support.longest else None


def _bump(support: _Group, put: _Group) -> bool:
    """Whether what is put down reaches into its support elsewhere than at its own foot."""
    vertices, _, _ = Assembly(list(put.parts)).mesh()
    foot = vertices[:, 2].min() + 0.03 * put.size[2]
    above = vertices[vertices[:, 2] > foot]
    return bool((Assembly(list(support.parts)).sdf(above) < 0).any())


def _placed(part: Part, factor: float, turn: Array, shift: Array) -> Part:
    solid = part.solid if factor == 1 else Scaled.of(part.solid, factor)
    return Part(part.slot, solid, turn @ part.rotation, factor * (turn @ part.position) + shift)


def _box(parts: Sequence[Part]) -> tuple[Array, Array]:
    vertices, _, _ = Assembly(list(parts)).mesh()
    return vertices.min(axis=0), vertices.max(axis=0)


def _drawn(names: Sequence[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]


def _meters(family: str) -> float:
    return _METERS_OF.get(family, _METERS[FAMILIES[family].category])
