"""Pets: dog, cat, rabbit."""

from __future__ import annotations

from enpointe.data.procedural.colors import FUR
from enpointe.data.procedural.families.animal_parts import BOTH, EYES, Point, eyes, legs
from enpointe.data.procedural.family import Builder, Family, Slot


def _dog(b: Builder) -> None:
    long, high, girth = b.uniform(0.36, 0.52), b.uniform(0.38, 0.6), b.uniform(0.17, 0.21)
    b.ellipsoid("fur", (girth, long, girth), (0, 0, high))
    b.ellipsoid("fur", (girth * 1.08, girth * 1.2, girth * 1.15), (0, -long * 0.55, high + 0.02))
    legs(b, "fur", girth * 0.6, -long * 0.65, long * 0.68, high - 0.05, b.uniform(0.06, 0.075))
    head = (0.0, -long - 0.12, high + b.uniform(0.32, 0.42))
    b.limb("fur", (0, -long * 0.6, high + 0.05), head, 0.11)
    b.ellipsoid("fur", (0.165, 0.18, 0.16), head)
    nose = b.uniform(0.2, 0.3)
    b.limb("fur", head, (0, head[1] - nose, head[2] - 0.06), 0.085)
    b.ball("nose", 0.05, (0, head[1] - nose - 0.06, head[2] - 0.03))
    eyes(b, 0.085, head[1] - 0.13, head[2] + 0.07, 0.035)
    if b.chance(0.65):
        for side in BOTH:
            b.ellipsoid("ears", (0.045, 0.085, 0.17), (side * 0.17, head[1] + 0.03, head[2] - 0.02), (0, -side * 15, 0))
        b.phrase("with floppy ears")
    else:
        for side in BOTH:
            b.rod(
                "ears",
                (side * 0.09, head[1] + 0.05, head[2] + 0.1),
                (side * 0.12, head[1] + 0.05, head[2] + 0.3),
                0.075,
                0.015,
            )
        b.phrase("with pointed ears")
    up = b.uniform(0.2, 0.38)
    b.path(
        "fur",
        [(0, long * 0.9, high + 0.08), (0, long + 0.15, high + up * 0.6), (0, long + 0.18, high + up + 0.12)],
        0.05,
    )
    if b.chance(0.5):
        _collar(b, (0, -long * 0.95, high + 0.2), 0.105)
    b.adjective("long" if long > 0.48 and high < 0.48 else "")


def _collar(b: Builder, at: Point, radius: float) -> None:
    b.torus("collar", radius, 0.04, at, (35, 0, 0))


def _cat(b: Builder) -> None:
    sitting = b.chance(0.4)
    size = b.uniform(0.17, 0.2)
    if sitting:
        high = b.uniform(0.62, 0.75)
        b.ellipsoid("fur", (0.24, 0.27, 0.24), (0, 0.12, 0.24))
        b.ellipsoid("fur", (0.17, 0.2, 0.33), (0, -0.02, 0.4), (20, 0, 0))
        for side in BOTH:
            b.limb("fur", (side * 0.09, -0.2, 0.06), (side * 0.09, -0.1, 0.45), 0.06)
            b.ellipsoid("fur", (0.08, 0.16, 0.07), (side * 0.2, -0.08, 0.07))
        b.path("fur", [(0, 0.33, 0.08), (0.22, 0.36, 0.06), (0.36, 0.2, 0.06), (0.38, 0.02, 0.07)], 0.055)
        head = (0.0, -0.12, high + 0.12)
        b.adjective("sitting")
    else:
        long, high = b.uniform(0.34, 0.44), b.uniform(0.38, 0.46)
        b.ellipsoid("fur", (0.155, long, 0.16), (0, 0, high))
        legs(b, "fur", 0.095, -long * 0.68, long * 0.7, high - 0.05, 0.055)
        head = (0.0, -long - 0.1, high + 0.22)
        b.limb("fur", (0, -long * 0.65, high + 0.03), head, 0.1)
        lean = b.uniform(-0.1, 0.15)
        tail = [
            (0.0, long * 0.9, high + 0.05),
            (0.0, long + 0.16, high + 0.12),
            (0.0, long + 0.2 + lean, high + 0.42),
            (0.0, long + 0.12 + lean, high + 0.58),
        ]
        b.path("fur", tail, 0.05)
    _cat_head(b, head, size)
    b.phrase("with a long tail" if b.chance(0.3) else "with pointed ears")


def _cat_head(b: Builder, at: Point, size: float) -> None:
    _, y, z = at
    b.ellipsoid("fur", (size * 1.1, size * 0.95, size), at)
    b.ellipsoid("muzzle", (size * 0.5, size * 0.35, size * 0.32), (0, y - size * 0.8, z - size * 0.32))
    b.ball("nose", size * 0.2, (0, y - size * 1.1, z - size * 0.15))
    eyes(b, size * 0.45, y - size * 0.78, z + size * 0.2, size * 0.2)
    for side in BOTH:
        b.rod("fur", (side * size * 0.6, y, z + size * 0.55), (side * size * 0.85, y, z + size * 1.6), size * 0.5, 0.01)


def _rabbit(b: Builder) -> None:
    long, girth = b.uniform(0.32, 0.4), b.uniform(0.21, 0.25)
    b.ellipsoid("fur", (girth, long, girth * 1.05), (0, 0.06, girth * 1.1), (-12, 0, 0))
    for side in BOTH:
        b.ellipsoid("fur", (0.09, 0.19, 0.17), (side * girth * 0.75, 0.18, 0.18))
        b.ellipsoid("fur", (0.065, 0.18, 0.06), (side * girth * 0.75, 0.06, 0.06))
        b.limb("fur", (side * 0.09, -0.24, 0.06), (side * 0.09, -0.16, 0.25), 0.06)
    head = (0.0, -long + 0.02, girth * 2 + b.uniform(0.02, 0.08))
    b.ellipsoid("fur", (0.155, 0.19, 0.16), head)
    ear, lean = b.uniform(0.32, 0.45), b.uniform(-5, 25)
    lop = b.chance(0.15)
    for side in BOTH:
        if lop:
            b.ellipsoid("fur", (0.05, 0.08, 0.2), (side * 0.18, head[1] + 0.04, head[2] - 0.04), (0, -side * 15, 0))
        else:
            z = head[2] + 0.09 + ear * 0.45
            y = head[1] + 0.06 + lean * 0.002
            b.ellipsoid("fur", (0.075, 0.05, ear * 0.55), (side * 0.1, y, z), (-lean, side * 8, 0))
            b.ellipsoid("inner", (0.045, 0.045, ear * 0.42), (side * 0.1, y - 0.018, z), (-lean, side * 8, 0))
    b.phrase("with floppy ears" if lop else "with long ears")
    b.ball("tail", 0.1, (0, long + 0.07, girth * 0.95))
    b.ball("inner", 0.035, (0, head[1] - 0.185, head[2] - 0.02))
    eyes(b, 0.11, head[1] - 0.12, head[2] + 0.05, 0.035)


NOSE = Slot("nose", ("black",))
DOG = Family(
    "dog",
    "animals",
    ("dog", "puppy", "hound"),
    (
        Slot("fur", FUR, paint=0.25),
        Slot("ears", ("brown", "black", "white", "beige"), "ears", paint=0.15),
        Slot("collar", ("red", "blue", "green"), "a collar", paint=0.3),
        NOSE,
        EYES,
    ),
    _dog,
)
CAT = Family(
    "cat",
    "animals",
    ("cat", "kitten", "kitty"),
    (
        Slot("fur", FUR, paint=0.25),
        Slot("muzzle", ("white", "beige")),
        Slot("nose", ("pink", "black")),
        Slot("eyes", ("green", "yellow", "black"), "eyes"),
    ),
    _cat,
)
RABBIT = Family(
    "rabbit",
    "animals",
    ("rabbit", "bunny", "hare"),
    (
        Slot("fur", ("white", "brown", "grey", "beige", "black"), paint=0.25),
        Slot("inner", ("pink",)),
        Slot("tail", ("white",), "a tail", paint=0.1),
        EYES,
    ),
    _rabbit,
)
