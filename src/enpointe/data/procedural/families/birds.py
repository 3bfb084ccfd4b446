"""Birds: songbird, duck, penguin."""

from __future__ import annotations

from enpointe.data.procedural.colors import PAINT
from enpointe.data.procedural.families.animal_parts import BOTH, EYES, eyes
from enpointe.data.procedural.family import Builder, Family, Slot


def _bird(b: Builder) -> None:
    long, girth, high = b.uniform(0.3, 0.38), b.uniform(0.17, 0.21), b.uniform(0.36, 0.46)
    b.ellipsoid("feathers", (girth, long, girth * 1.05), (0, 0, high), (-25, 0, 0))
    b.ellipsoid("breast", (girth * 0.85, girth * 1.05, girth * 1.05), (0, -long * 0.42, high + 0.03))
    head = (0.0, -long * 0.85, high + 0.27)
    b.ball("feathers", b.uniform(0.145, 0.165), head)
    b.rod("beak", (0, head[1] - 0.1, head[2]), (0, head[1] - b.uniform(0.28, 0.36), head[2] - 0.02), 0.065, 0.012)
    eyes(b, 0.1, head[1] - 0.08, head[2] + 0.05, 0.033)
    b.box("wings", (0.17, 0.42, 0.05), (0, long + 0.16, high - 0.14), (-18, 0, 0))
    spread = b.chance(0.45)
    for side in BOTH:
        if spread:
            b.ellipsoid(
                "wings", (0.36, 0.18, 0.04), (side * (girth + 0.27), 0.0, high + 0.14), (0, -side * 18, -side * 12)
            )
        else:
            b.ellipsoid(
                "wings", (0.045, long * 0.85, girth * 0.7), (side * girth * 0.98, 0.08, high + 0.02), (-25, 0, 0)
            )
        b.limb("beak", (side * 0.08, 0.02, 0.03), (side * 0.08, 0.02, high - girth * 0.7), 0.028)
        b.limb("beak", (side * 0.08, 0.06, 0.03), (side * 0.08, -0.1, 0.03), 0.03)
    if spread:
        b.phrase("with spread wings")


def _duck(b: Builder) -> None:
    long, girth, low = b.uniform(0.36, 0.44), b.uniform(0.23, 0.27), 0.12
    high = low + girth * 0.85
    b.ellipsoid("feathers", (girth, long, girth * 0.85), (0, 0, high))
    b.rod("feathers", (0, long * 0.6, high + 0.06), (0, long * 1.2, high + 0.26), girth * 0.6, 0.03)
    neck = b.uniform(0.28, 0.4)
    head = (0.0, -long * 0.85, high + neck + 0.1)
    b.limb("feathers", (0, -long * 0.65, high), (0, head[1] + 0.02, head[2] - 0.05), 0.11)
    b.ellipsoid("head", (0.145, 0.165, 0.145), head)
    b.ellipsoid("beak", (0.095, 0.15, 0.04), (0, head[1] - 0.2, head[2] - 0.04), (8, 0, 0))
    eyes(b, 0.1, head[1] - 0.09, head[2] + 0.05, 0.033)
    for side in BOTH:
        b.ellipsoid("wings", (0.05, long * 0.65, girth * 0.5), (side * girth * 0.95, 0.08, high + 0.06), (12, 0, 0))
        b.limb("beak", (side * 0.11, 0.02, 0.05), (side * 0.11, 0.02, high - 0.1), 0.032)
        b.ellipsoid("beak", (0.085, 0.13, 0.03), (side * 0.12, -0.06, 0.03))


def _penguin(b: Builder) -> None:
    high, girth = b.uniform(0.4, 0.5), b.uniform(0.24, 0.29)
    b.ellipsoid("feathers", (girth, girth * 0.92, high), (0, 0, high + 0.03))
    b.ellipsoid("belly", (girth * 0.8, girth * 0.6, high * 0.8), (0, -girth * 0.4, high - 0.02))
    head = (0.0, -0.03, high * 1.9 + 0.03)
    b.ball("feathers", girth * 0.72, head)
    b.rod("beak", (0, head[1] - girth * 0.55, head[2]), (0, head[1] - girth * 1.2, head[2] - 0.03), 0.06, 0.015)
    eyes(b, girth * 0.32, head[1] - girth * 0.57, head[2] + 0.07, 0.045, "belly")
    out = b.uniform(10, 35)
    for side in BOTH:
        b.ellipsoid(
            "feathers",
            (0.05, 0.1, high * 0.55),
            (side * (girth + 0.03 + out * 0.002), 0, high * 1.05),
            (0, -side * out, 0),
        )
        b.ellipsoid("beak", (0.1, 0.16, 0.045), (side * 0.12, -0.14, 0.045))


BIRD = Family(
    "bird",
    "animals",
    ("bird", "songbird", "little bird"),
    (
        Slot("feathers", PAINT),
        Slot("breast", ("white", "orange", "red", "yellow", "beige"), "a breast", paint=0.1),
        Slot("wings", ("brown", "black", "grey", "blue"), "wings", paint=0.2),
        Slot("beak", ("orange", "yellow", "black"), "a beak"),
        EYES,
    ),
    _bird,
)
DUCK = Family(
    "duck",
    "animals",
    ("duck", "duckling"),
    (
        Slot("feathers", ("white", "yellow", "brown", "grey"), paint=0.2),
        Slot("head", ("white", "yellow", "green", "dark green"), "a head", paint=0.15),
        Slot("wings", ("white", "yellow", "brown", "grey"), "wings", paint=0.1),
        Slot("beak", ("orange", "orange", "yellow"), "a beak", paint=0.1),
        EYES,
    ),
    _duck,
)
PENGUIN = Family(
    "penguin",
    "animals",
    ("penguin",),
    (
        Slot("feathers", ("black", "black", "dark grey", "dark blue"), paint=0.25),
        Slot("belly", ("white",)),
        Slot("beak", ("orange", "yellow"), "a beak", paint=0.1),
    ),
    _penguin,
)
