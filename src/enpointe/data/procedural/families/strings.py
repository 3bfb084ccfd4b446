"""Guitars and violins. They stand on their end, with the strings to -y; lengths are roughly meters."""

from __future__ import annotations

import numpy as np

from enpointe.data.procedural.colors import METAL, PAINT, WOOD
from enpointe.data.procedural.family import UPRIGHT_Y, Builder, Family, Slot


def _outline(half: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A closed outline, mirrored in u, from (height, half width) knots, smoothed between them."""
    v, u = np.array(half).T
    fine = np.linspace(0, 1, 17)
    knots = np.linspace(0, 1, len(v))
    # A cosine step between knots makes bouts and waist round.
    seat = np.minimum((fine * (len(v) - 1)).astype(int), len(v) - 2)
    share = (1 - np.cos(np.pi * (fine - knots[seat]) * (len(v) - 1))) / 2
    height = np.interp(fine, knots, v)
    width = u[seat] + (u[seat + 1] - u[seat]) * share
    right = list(zip(width, height, strict=True))
    return right + [(-x, z) for x, z in right[::-1]]


def _strings(
    b: Builder, neck: tuple[float, float], head: float, wide: float, y: float, bridge: float, pegs: int
) -> None:
    """A neck from z = neck[0] to neck[1] with a head and pegs, a bridge at z = bridge, and strings over all."""
    low, high = neck
    b.box("neck", (wide, 0.08, high - low), (0, y, (low + high) / 2))
    b.prism(
        "head",
        [
            (-wide * 0.6, high - 0.02),
            (-wide * 0.95, high + head),
            (wide * 0.95, high + head),
            (wide * 0.6, high - 0.02),
        ],
        0.09,
        (0, y + 0.01, 0),
        UPRIGHT_Y,
    )
    b.box("strings", (wide * 0.45, 0.03, high - bridge), (0, y - 0.045, (high + bridge) / 2))
    for i in range(pegs):
        z = high + head * (i + 0.6) / pegs
        b.limb("pegs", (-wide * 1.3, y, z), (wide * 1.3, y, z), 0.03)


def _guitar(b: Builder) -> None:
    (_electric_guitar if b.chance(0.35) else _acoustic_guitar)(b)


def _acoustic_guitar(b: Builder) -> None:
    body, low, deep = b.uniform(0.85, 1.0), b.uniform(0.36, 0.42), b.uniform(0.2, 0.28)
    waist, high = low * b.uniform(0.6, 0.68), low * b.uniform(0.74, 0.82)
    outline = _outline(
        [
            (0, low * 0.35),
            (body * 0.1, low * 0.84),
            (body * 0.3, low),
            (body * 0.6, waist),
            (body * 0.84, high),
            (body * 0.97, high * 0.7),
            (body, high * 0.3),
        ]
    )
    b.prism("body", outline, deep, rot=UPRIGHT_Y)
    front = -deep / 2
    b.cylinder("trim", low * 0.36, 0.05, (0, front, body * 0.63), (90, 0, 0))
    b.cylinder("hole", low * 0.29, 0.07, (0, front, body * 0.63), (90, 0, 0))
    b.box("neck", (low * 0.8, 0.08, 0.08), (0, front - 0.01, body * 0.26))
    _strings(b, (body * 0.8, body + b.uniform(0.6, 0.75)), 0.24, 0.12, front - 0.01, body * 0.26, 3)
    b.adjective("acoustic")


def _electric_guitar(b: Builder) -> None:
    low, deep = b.uniform(0.36, 0.42), b.uniform(0.11, 0.15)
    horn = b.uniform(0.82, 0.95)
    # Two horns beside the neck, the left one longer.
    outline = [
        (-0.12, 0), (0.14, 0.01), (low * 0.88, 0.1), (low, 0.26), (low * 0.78, 0.44), (low * 0.68, 0.54),
        (low * 0.84, 0.72), (low * 0.62, horn - 0.08), (0.1, 0.64), (-0.1, 0.64), (-low * 0.66, horn + 0.04),
        (-low * 0.94, horn - 0.16), (-low * 0.74, 0.54), (-low * 0.86, 0.42), (-low, 0.24), (-low * 0.8, 0.07),
    ]  # fmt: skip
    b.prism("body", outline, deep, rot=UPRIGHT_Y)
    front = -deep / 2
    guard = [
        (-0.06, 0.12),
        (low * 0.7, 0.2),
        (low * 0.5, 0.5),
        (low * 0.5, 0.7),
        (0.07, 0.6),
        (-0.14, 0.6),
        (-0.16, 0.3),
    ]
    b.prism("trim", guard, 0.03, (0, front, 0), UPRIGHT_Y)
    for z in (0.28, 0.4, 0.52):
        b.box("hole", (0.22, 0.06, 0.06), (0, front, z))
    for z in (0.2, 0.1):
        b.cylinder("pegs", 0.045, 0.1, (low * 0.55, front, z + 0.06), (90, 0, 0))
    _strings(b, (0.56, 0.64 + b.uniform(0.7, 0.85)), 0.26, 0.11, front - 0.01, 0.18, 3)
    b.adjective("electric")


GUITAR = Family(
    "guitar",
    "music",
    ("guitar",),
    (
        Slot("body", (*PAINT, "wooden", "wooden", "wooden", "brown", "orange")),
        Slot("neck", (*WOOD, "black"), "a neck", paint=0.1),
        Slot("head", (*WOOD, "black")),
        Slot("trim", ("white", "black", "beige", "brown")),
        Slot("hole", ("black",)),
        Slot("strings", ("silver", "white")),
        Slot("pegs", METAL),
    ),
    _guitar,
)


def _violin(b: Builder) -> None:
    body, low, deep = b.uniform(0.72, 0.8), b.uniform(0.22, 0.25), b.uniform(0.12, 0.15)
    waist, high = low * 0.58, low * b.uniform(0.8, 0.86)
    outline = _outline(
        [
            (0, low * 0.3),
            (body * 0.08, low * 0.82),
            (body * 0.24, low),
            (body * 0.36, low * 0.92),
            (body * 0.42, waist),
            (body * 0.6, waist),
            (body * 0.66, high * 0.92),
            (body * 0.82, high),
            (body, high * 0.25),
        ]
    )
    b.prism("body", outline, deep, rot=UPRIGHT_Y)
    front = -deep / 2
    for x in (-0.09, 0.09):
        b.box("fittings", (0.04, 0.03, 0.2), (x, front, body * 0.47), (0, 12 * np.sign(x), 0))
    b.prism(
        "fittings",
        [(-0.03, 0), (0.03, 0), (0.06, body * 0.36), (-0.06, body * 0.36)],
        0.06,
        (0, front - 0.03, 0),
        UPRIGHT_Y,
    )
    b.box("bridge", (0.16, 0.05, 0.05), (0, front - 0.02, body * 0.45))
    b.ellipsoid("fittings", (0.11, 0.05, 0.07), (-0.12, front - 0.02, 0.06))
    neck = body + 0.32
    b.box("fittings", (0.08, 0.07, neck - body * 0.62), (0, front - 0.03, (neck + body * 0.62) / 2))
    b.box("strings", (0.05, 0.03, neck - body * 0.3), (0, front - 0.075, (neck + body * 0.3) / 2))
    b.box("body", (0.08, 0.08, 0.16), (0, front, neck + 0.06))
    b.cylinder("body", 0.07, 0.12, (0, front + 0.04, neck + 0.17), (0, 90, 0))
    for z in (0.02, 0.1):
        b.limb("fittings", (-0.12, front, neck + z), (0.12, front, neck + z), 0.025)
    if b.chance(0.5):
        x = low + 0.16
        b.rod("bow", (x, front, 0), (x, front, neck + 0.1), 0.028)
        b.box("hair", (0.04, 0.035, neck + 0.02), (x - 0.06, front, (neck + 0.1) / 2))
        b.box("fittings", (0.1, 0.05, 0.1), (x - 0.03, front, 0.06))
        b.box("bow", (0.1, 0.05, 0.06), (x - 0.03, front, neck + 0.08))
        b.phrase("with a bow")


VIOLIN = Family(
    "violin",
    "music",
    ("violin", "fiddle"),
    (
        Slot("body", (*WOOD * 8, "orange", "dark red", *PAINT)),
        Slot("fittings", ("black",)),
        Slot("bridge", ("beige",)),
        Slot("strings", ("silver", "white")),
        Slot("bow", WOOD),
        Slot("hair", ("white",)),
    ),
    _violin,
)

FAMILIES: tuple[Family, ...] = (GUITAR, VIOLIN)
