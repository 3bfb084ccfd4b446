"""Trees, flowers, fruit."""

from __future__ import annotations

from itertools import pairwise
from math import atan2, cos, degrees, pi, sin

import numpy as np

from enpointe.data.procedural.colors import LEAF, WOOD
from enpointe.data.procedural.family import Builder, Family, Part, Slot, rotation
from enpointe.data.procedural.solids import Ellipsoid

GREENS = ("green", "green", "dark green", "light green")
BARK = ("brown", "wooden")
POT = ("brick", "brown", "white", "grey")


def _around(count: int, radius: float, start: float = 0.0) -> list[tuple[float, float]]:
    """Points (x, y) evenly spaced on a circle, the first at `start` radians."""
    turns = (start + 2 * pi * i / count for i in range(count))
    return [(radius * cos(turn), radius * sin(turn)) for turn in turns]


def _tree(b: Builder) -> None:
    trunk, thick = b.uniform(0.7, 1.3), b.uniform(0.09, 0.16)
    crown = b.uniform(0.45, 0.65)
    middle = trunk + crown * 0.6
    b.cylinder("trunk", thick * 1.25, trunk + 0.3, (0, 0, (trunk + 0.3) / 2), top=thick * 0.75)
    kind = b.choice(("round", "bushy", "bushy", "bushy", "wide", "wide", "tall"))
    if kind == "round":
        b.ellipsoid("leaves", (crown, crown, crown * b.uniform(0.9, 1.1)), (0, 0, middle))
        b.adjective("round")
    elif kind == "tall":
        b.ellipsoid("leaves", (crown * 0.62, crown * 0.62, crown * 1.35), (0, 0, middle + crown * 0.45))
        b.adjective("tall")
    else:
        spread = crown * (0.85 if kind == "wide" else 0.58)
        for x, y in _around(b.integer(4, 6), spread, b.uniform(0, pi)):
            size = crown * b.uniform(0.52, 0.68)
            b.ellipsoid("leaves", (size, size, size * 0.85), (x, y, middle + b.uniform(-0.12, 0.12)))
            if kind == "wide":
                b.limb("trunk", (0, 0, trunk * 0.75), (x * 0.8, y * 0.8, middle), thick * 0.6)
        b.ball("leaves", crown * b.uniform(0.65, 0.8), (0, 0, middle + crown * 0.4))
        b.adjective("wide" if kind == "wide" else "leafy")


def _pine(b: Builder) -> None:
    trunk, radius = b.uniform(0.25, 0.45), b.uniform(0.42, 0.62)
    tiers, height = b.integer(3, 5), b.uniform(1.4, 2.0)
    b.cylinder("trunk", 0.11, trunk + 0.2, (0, 0, (trunk + 0.2) / 2))
    step = height / tiers
    for i in range(tiers):
        wide = radius * (1 - 0.75 * i / tiers)
        tall = step * 1.55
        top = 0.0 if i == tiers - 1 else wide * 0.3
        b.cylinder("leaves", wide, tall, (0, 0, trunk + i * step + tall / 2), top=top)
    if b.chance(0.3):
        b.ball("star", 0.1, (0, 0, trunk + height + step * 0.55))
        for x, y in _around(5, radius * 0.85, b.uniform(0, pi)):
            b.ball("star", 0.09, (x, y, trunk + step * 0.25))
        for x, y in _around(4, radius * 0.6, b.uniform(0, pi)):
            b.ball("star", 0.08, (x, y, trunk + step * 1.2))
        b.phrase("with decorations")
    b.adjective("tall" if height > 1.8 else "")


def _palm(b: Builder) -> None:
    height, lean = b.uniform(1.4, 2.0), b.uniform(-0.3, 0.3)
    bend = [(lean * (t / 3) ** 2, 0.0, height * t / 3) for t in range(4)]
    for i, (start, end) in enumerate(pairwise(bend)):
        b.limb("trunk", start, end, 0.1 - 0.012 * i)
    reach, thick = b.uniform(0.65, 0.85), 0.05
    for i, (x, y) in enumerate(_around(b.integer(6, 8), 1.0, b.uniform(0, pi))):
        turn = degrees(atan2(y, x))
        drop = b.uniform(0.0, 0.1) + 0.05 * (i % 2)
        out, far = reach * 0.32, reach * 0.75
        b.ellipsoid(
            "leaves", (reach * 0.36, 0.13, thick), (lean + x * out, y * out, height + 0.12 - drop / 2), (0, -15, turn)
        )
        b.ellipsoid("leaves", (reach * 0.36, 0.12, thick), (lean + x * far, y * far, height - drop / 2), (0, 40, turn))
    for x, y in _around(3, 0.13):
        b.ball("coconuts", 0.1, (lean + x, y, height - 0.06))
    b.adjective("tall" if height > 1.8 else "")


def _cactus(b: Builder) -> None:
    height, thick = b.uniform(1.1, 1.8), b.uniform(0.16, 0.22)
    b.limb("skin", (0, 0, 0.1), (0, 0, height), thick)
    arms = b.integer(1, 3)
    for i in range(arms):
        side = (-1, 1, -1)[i]
        low = height * (b.uniform(0.3, 0.42) if i != 1 else b.uniform(0.45, 0.6))
        if i == 2:
            start, out = (0.0, 0.0, height * 0.62), (0.0, -thick * 2.2, height * 0.62)
        else:
            start, out = (0.0, 0.0, low), (side * thick * 2.4, 0.0, low)
        b.path("skin", [start, out, (out[0], out[1], out[2] + b.uniform(0.3, 0.5))], thick * 0.68)
    b.phrase(("with one arm", "with two arms", "with three arms")[arms - 1])
    if b.chance(0.4):
        b.ellipsoid("flower", (thick * 0.7, thick * 0.7, thick * 0.55), (0, 0, height + thick * 1.1))
        b.phrase("with a flower on top")
    if b.chance(0.5):
        wide = b.uniform(0.36, 0.45)
        b.cylinder("pot", wide * 0.75, 0.5, (0, 0, -0.12), top=wide)
        b.cylinder("pot", wide * 1.12, 0.12, (0, 0, 0.1))
        b.phrase("in a pot")
    else:
        b.ellipsoid("ground", (thick * 2.6, thick * 2.6, 0.12), (0, 0, 0))


def _mushroom(b: Builder) -> None:
    wide, tall = b.uniform(0.45, 0.65), b.uniform(0.5, 0.9)
    dome, stem = b.uniform(0.28, 0.48), b.uniform(0.14, 0.2)
    b.cylinder("stem", stem * 1.35, tall, (0, 0, tall / 2), top=stem)
    arc = [(wide * cos(t * pi / 14), dome * sin(t * pi / 14)) for t in range(8)]
    b.revolve("cap", [(0, 0.03), (wide * 0.85, -0.05), *arc], (0, 0, tall - 0.04))
    b.revolve("stem", [(0, 0.0), (0, -0.07), (wide * 0.8, -0.09), (wide * 0.8, -0.03)], (0, 0, tall - 0.04))
    if b.chance(0.6):
        start = b.uniform(0, pi)
        for x, y in [*_around(6, 0.8, start), *_around(3, 0.42, start + 0.5)]:
            high = dome * (1 - x * x - y * y) ** 0.5
            b.ball("spots", b.uniform(0.065, 0.09), (x * wide * 0.97, y * wide * 0.97, tall - 0.06 + high))
        b.phrase("with spots")
    b.adjective("tall" if tall > 0.78 else "short" if tall < 0.58 else "")


def _flower(b: Builder) -> None:
    pot, tall, head = b.uniform(0.26, 0.36), b.uniform(0.7, 1.05), b.uniform(0.15, 0.2)
    b.cylinder("pot", pot * 0.7, 0.45, (0, 0, 0.225), top=pot)
    b.cylinder("pot", pot * 1.15, 0.13, (0, 0, 0.43))
    b.limb("stem", (0, 0, 0.4), (0, 0, 0.45 + tall), 0.045)
    for side in (-1, 1):
        b.ellipsoid("stem", (0.2, 0.1, 0.04), (side * 0.2, 0, 0.5 + tall * b.uniform(0.25, 0.45)), (0, -side * 35, 0))
    # The flower faces up and to the front.
    tilt = b.uniform(50, 75)
    s, c = sin(tilt * pi / 180), cos(tilt * pi / 180)
    at = (0.0, -0.03, 0.45 + tall)
    for u, v in _around(b.integer(5, 7), 1.0, b.uniform(0, pi)):
        turn = degrees(atan2(v, u))
        far = head * 1.35
        petal = (head * 0.85, head * 0.55, 0.045)
        center = (at[0] + far * u, at[1] + far * v * c, at[2] + far * v * s)
        _petal(b, petal, center, turn, tilt)
    b.ellipsoid("middle", (head * 0.75, head * 0.75, 0.09), (at[0], at[1] - 0.03 * s, at[2] + 0.03 * c), (tilt, 0, 0))
    b.adjective("tall" if tall > 0.95 else "")


def _petal(
    b: Builder, radii: tuple[float, float, float], at: tuple[float, float, float], turn: float, tilt: float
) -> None:
    """An ellipsoid turned by `turn` degrees in its own plane, which then is tilted by `tilt` about x."""
    matrix = rotation((tilt, 0, 0)) @ rotation((0, 0, turn))
    b.assembly.parts.append(Part("petals", Ellipsoid(radii), matrix, np.asarray(at)))


def _apple(b: Builder) -> None:
    tall, wide = b.uniform(0.8, 1.0), b.uniform(0.48, 0.54)
    profile = [
        (0, 0.06),
        (0.2, 0),
        (0.55, 0.05),
        (0.85, 0.27),
        (1, 0.58),
        (0.93, 0.82),
        (0.7, 0.97),
        (0.4, 1),
        (0.18, 0.93),
        (0, 0.82),
    ]
    b.revolve("peel", [(r * wide, z * tall) for r, z in profile])
    b.limb("stem", (0, 0, tall * 0.8), (0.06, 0, tall * 1.16), 0.035)
    if b.chance(0.75):
        b.ellipsoid("leaf", (0.2, 0.1, 0.035), (0.22, 0, tall * 1.12), (0, -20, b.uniform(-20, 20)))
        b.phrase("with a leaf")


def _banana(b: Builder) -> None:
    radius, half, bend = b.uniform(0.1, 0.14), 9, b.uniform(0.55, 0.95)
    # An arc that lies with its ends up: the middle rests on the floor.
    turns = [bend * (2 * i / half - 1) for i in range(half + 1)]
    size = 0.6 / sin(bend)
    points = [(size * sin(t), 0.0, radius + size * (1 - cos(t))) for t in turns]
    for i, (start, end) in enumerate(pairwise(points)):
        middle = abs((i + 0.5) / half - 0.5) * 2
        b.limb("peel", start, end, radius * (1 - 0.62 * middle**3))
    x, _, z = points[-1]
    b.limb("tips", (x, 0, z), (x + 0.11 * cos(bend + 0.25), 0, z + 0.11 * sin(bend + 0.25)), 0.048)
    x, _, z = points[0]
    b.ball("tips", 0.055, (x - 0.02, 0, z + 0.02))


def _pear(b: Builder) -> None:
    tall, wide, neck = b.uniform(1.0, 1.25), b.uniform(0.38, 0.44), b.uniform(0.4, 0.5)
    profile = [
        (0, 0.03),
        (0.4, 0),
        (0.8, 0.09),
        (1, 0.28),
        (0.95, 0.42),
        (0.75, 0.57),
        (neck + 0.08, 0.7),
        (neck, 0.83),
        (neck * 0.8, 0.94),
        (neck * 0.4, 1),
        (0, 1),
    ]
    b.revolve("peel", [(r * wide, z * tall) for r, z in profile])
    b.limb("stem", (0, 0, tall * 0.95), (0.05, 0, tall * 1.16), 0.035)
    if b.chance(0.5):
        b.ellipsoid("leaf", (0.17, 0.085, 0.035), (0.2, 0, tall * 1.12), (0, -20, 0))
        b.phrase("with a leaf")


def _carrot(b: Builder) -> None:
    tall, wide = b.uniform(1.0, 1.4), b.uniform(0.17, 0.24)
    profile = [(0, 0), (0.12, 0.02), (0.5, 0.35), (0.85, 0.75), (1, 0.92), (0.85, 0.98), (0.5, 1), (0, 1)]
    b.revolve("root", [(r * wide, z * tall) for r, z in profile])
    leaf = b.uniform(0.28, 0.42)
    for x, y in [(0.0, 0.0), *_around(5, 1.0, b.uniform(0, pi))]:
        end = (x * leaf * 0.5, y * leaf * 0.5, tall + leaf * (1.2 if x == 0 else 1.0))
        b.limb("leaves", (x * 0.04, y * 0.04, tall - 0.05), end, 0.05)
    b.adjective("long" if tall > 1.3 else "")


def _pineapple(b: Builder) -> None:
    tall, wide = b.uniform(0.42, 0.54), b.uniform(0.3, 0.36)
    b.ellipsoid("peel", (wide, wide, tall), (0, 0, tall))
    top = tall * 1.9
    leaf = b.uniform(0.45, 0.6)
    b.rod("leaves", (0, 0, top - 0.05), (0, 0, top + leaf), 0.1, 0.02)
    for count, lean, high in ((5, 0.4, 0.85), (6, 0.75, 0.5)):
        for x, y in _around(count, 1.0, b.uniform(0, pi)):
            b.rod(
                "leaves",
                (x * 0.06, y * 0.06, top - 0.05),
                (x * leaf * lean, y * leaf * lean, top + leaf * high),
                0.09,
                0.015,
            )


TREE = Family(
    "tree",
    "plants",
    ("tree", "leafy tree", "oak tree"),
    (
        Slot("leaves", (*GREENS, *GREENS, "orange", "red", "yellow"), "leaves", paint=0.15),
        Slot("trunk", BARK, "a trunk", paint=0.1),
    ),
    _tree,
)
PINE = Family(
    "pine tree",
    "plants",
    ("pine tree", "fir tree", "christmas tree", "conifer"),
    (
        Slot("leaves", ("green", "dark green"), paint=0.2),
        Slot("trunk", BARK, "a trunk", paint=0.1),
        Slot("star", ("yellow", "red", "golden")),
    ),
    _pine,
)
PALM = Family(
    "palm tree",
    "plants",
    ("palm tree", "palm", "coconut palm"),
    (
        Slot("leaves", GREENS, "leaves", paint=0.15),
        Slot("trunk", (*BARK, "beige"), "a trunk", paint=0.1),
        Slot("coconuts", ("brown",)),
    ),
    _palm,
)
CACTUS = Family(
    "cactus",
    "plants",
    ("cactus", "saguaro"),
    (
        Slot("skin", ("green", "dark green"), paint=0.25),
        Slot("flower", ("pink", "red", "yellow")),
        Slot("pot", POT),
        Slot("ground", ("beige",)),
    ),
    _cactus,
)
MUSHROOM = Family(
    "mushroom",
    "plants",
    ("mushroom", "toadstool"),
    (
        Slot("cap", ("red", "red", "brown", "beige", "white"), "a cap", paint=0.4),
        Slot("stem", ("white", "beige"), "a stem", paint=0.15),
        Slot("spots", ("white", "white", "yellow")),
    ),
    _mushroom,
)
FLOWER = Family(
    "potted flower",
    "plants",
    ("flower in a pot", "potted flower", "flower", "potted plant"),
    (
        Slot("petals", ("red", "yellow", "pink", "white", "purple", "orange", "blue"), "petals", paint=0.2),
        Slot("pot", POT, "a pot", paint=0.3),
        Slot("stem", LEAF),
        Slot("middle", ("yellow", "brown", "orange")),
    ),
    _flower,
)
APPLE = Family(
    "apple",
    "plants",
    ("apple",),
    (
        Slot("peel", ("red", "red", "green", "light green", "yellow"), paint=0.25),
        Slot("stem", WOOD),
        Slot("leaf", LEAF),
    ),
    _apple,
)
BANANA = Family(
    "banana", "plants", ("banana",), (Slot("peel", ("yellow",), paint=0.35), Slot("tips", ("brown", "black"))), _banana
)
PEAR = Family(
    "pear",
    "plants",
    ("pear",),
    (Slot("peel", ("light green", "light green", "yellow"), paint=0.3), Slot("stem", WOOD), Slot("leaf", LEAF)),
    _pear,
)
CARROT = Family(
    "carrot",
    "plants",
    ("carrot",),
    (Slot("root", ("orange",), paint=0.35), Slot("leaves", LEAF, "leaves", paint=0.1)),
    _carrot,
)
PINEAPPLE = Family(
    "pineapple",
    "plants",
    ("pineapple",),
    (Slot("peel", ("golden", "yellow", "orange"), paint=0.35), Slot("leaves", LEAF, "leaves", paint=0.1)),
    _pineapple,
)

FAMILIES: tuple[Family, ...] = (TREE, PINE, PALM, CACTUS, MUSHROOM, FLOWER, APPLE, BANANA, PEAR, CARROT, PINEAPPLE)
