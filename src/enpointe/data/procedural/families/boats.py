"""Things that float. Lengths are roughly meters; the bow points along -y."""

from __future__ import annotations

import numpy as np

from enpointe.data.procedural.colors import DARK, METAL, PAINT, WOOD
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot

_LAYERS = 5


def _gunwale(length: float, width: float, stern: float) -> list[tuple[float, float]]:
    """The right half of a hull seen from above, bow first; `stern` is the transom's share of the width."""
    t = np.linspace(0, 1, 9)
    half = np.sin(np.pi / 2 * np.minimum(t / 0.55, 1)) ** 0.8
    half = np.where(t > 0.55, 1 - (1 - stern) * ((t - 0.55) / 0.45) ** 2, half) * width / 2
    return list(zip(half, (t - 0.5) * length, strict=True))


def _hull(b: Builder, length: float, width: float, height: float, stern: float, hollow: bool) -> None:
    """Layers that widen upwards and lean out over the bow; hollow ones have only walls above the floor."""
    for i in range(_LAYERS):
        up = (i + 0.5) / _LAYERS
        beam, reach = width * (0.5 + 0.5 * up**0.6), length * (0.8 + 0.2 * up)
        side = _gunwale(reach, beam, stern)
        at = (0, (length - reach) / 2, up * height)
        thick = height / _LAYERS * 1.02
        if not hollow or i < 2:
            b.prism("hull", side + [(-x, y) for x, y in side[:0:-1]], thick, at)
            continue
        wall = width * 0.09
        inner = [(max(x - wall, 0.0), y + (wall if x < wall else 0)) for x, y in side]
        for sign in (-1, 1):
            b.prism("hull", [(sign * x, y) for x, y in side + inner[::-1]], thick, at)
        b.box("hull", (2 * side[-1][0], wall, thick), (0, length / 2 - wall / 2, at[2]))


def _rowing_boat(b: Builder) -> None:
    length, width, height = b.uniform(2.8, 3.8), b.uniform(1.25, 1.5), b.uniform(0.5, 0.62)
    _hull(b, length, width, height, b.uniform(0.6, 0.8), hollow=True)
    for y in (-0.16, 0.1, 0.34)[: b.integer(2, 3)]:
        b.box("seats", (width * 0.72, length * 0.1, 0.12), (0, y * length, height * 0.76))
    if b.chance(0.7):
        out, y = b.uniform(0.5, 0.7), -0.03 * length
        for x in (-1, 1):
            start, end = (
                np.array((x * width * 0.15, y, height * 1.3)),
                np.array((x * (width / 2 + out), y + 0.3, height * 0.5)),
            )
            b.limb("oars", start, end, 0.055)
            b.ellipsoid("oars", (0.32, 0.13, 0.06), end, (0, x * 28, 0))
        b.phrase("with two oars")


ROWING_BOAT = Family(
    "rowing boat",
    "vehicles",
    ("rowing boat", "rowboat", "boat"),
    (
        Slot("hull", (*PAINT, "wooden", "wooden", "wooden")),
        Slot("seats", (*WOOD, "beige", "white"), "seats", paint=0.2),
        Slot("oars", (*WOOD, "beige"), "oars", paint=0.2),
    ),
    _rowing_boat,
)


def _boat(b: Builder) -> None:
    length, width, height = b.uniform(4.5, 6.0), b.uniform(1.7, 2.2), b.uniform(0.75, 1.0)
    _hull(b, length, width, height, b.uniform(0.75, 0.9), hollow=False)
    deck = _gunwale(length * 0.94, width * 0.86, 0.8)
    b.prism("deck", deck + [(-x, y) for x, y in deck[:0:-1]], 0.14, (0, 0, height + 0.02))
    kind = b.choice(("cabin", "cabin", "speed", "ship"))
    if kind == "speed":
        b.prism(
            "windows",
            [
                (-0.12 * length, height),
                (0.02 * length, height + 0.55),
                (0.06 * length, height + 0.55),
                (-0.02 * length, height),
            ],
            width * 0.74,
            rot=UPRIGHT_X,
        )
        for x in (-0.2, 0.2):
            b.box("seats", (width * 0.3, 0.45, 0.25), (x * width, 0.14 * length, height + 0.15))
            b.box("seats", (width * 0.3, 0.16, 0.6), (x * width, 0.19 * length, height + 0.35), (-10, 0, 0))
        b.box("seats", (width * 0.7, 0.5, 0.3), (0, 0.36 * length, height + 0.15))
    else:
        long, tall = length * b.uniform(0.3, 0.42), b.uniform(0.9, 1.2)
        b.box("cabin", (width * 0.62, long, tall), (0, 0.08 * length, height + tall / 2))
        b.box("windows", (width * 0.65, long * 0.8, tall * 0.36), (0, 0.08 * length, height + tall * 0.66))
        b.box("windows", (width * 0.52, long * 1.05, tall * 0.36), (0, 0.08 * length, height + tall * 0.66))
        b.box("cabin", (width * 0.72, long * 1.15, 0.16), (0, 0.08 * length, height + tall))
        b.phrase("with a cabin")
        if kind == "ship":
            chimney = b.uniform(0.6, 0.9)
            b.cylinder("chimney", 0.24, chimney + 0.2, (0, 0.14 * length, height + tall + chimney / 2))
            b.phrase("with a chimney")
        else:
            b.rod("chimney", (0, 0.02 * length, height + tall), (0, 0.06 * length, height + tall + 0.8), 0.08)
    b.box("motor", (0.34, 0.4, 0.55), (0, length / 2 + 0.12, height + 0.1))
    b.box("motor", (0.2, 0.25, height), (0, length / 2 + 0.12, height / 2))
    rail = _gunwale(length * 0.96, width * 0.95, 0.85)[1:6]
    for x in (-1, 1):
        posts = [(x * u, v - length * 0.01, height + 0.22) for u, v in rail[::2]]
        b.path("rail", posts, 0.07)
        for u, v, top in posts:
            b.rod("rail", (u, v, height), (u, v, top), 0.06)
    b.adjective("long" if length > 5.6 else "small" if length < 4.8 else "")


BOAT = Family(
    "boat",
    "vehicles",
    ("boat", "motorboat", "motor boat"),
    (
        Slot("hull", PAINT),
        Slot("deck", ("brown", "beige", "wooden", "white"), "a deck", paint=0.1),
        Slot("cabin", ("white", "white", "beige", "grey"), "a cabin", paint=0.2),
        Slot("windows", ("light blue", "dark grey", "black")),
        Slot("chimney", ("red", "black", "orange"), paint=0.0),
        Slot("seats", ("white", "beige", "brown", "red"), "seats", paint=0.2),
        Slot("motor", DARK),
        Slot("rail", METAL),
    ),
    _boat,
)


def _sailboat(b: Builder) -> None:
    length, width, height = b.uniform(3.6, 4.8), b.uniform(1.25, 1.6), b.uniform(0.6, 0.8)
    _hull(b, length, width, height, b.uniform(0.6, 0.8), hollow=False)
    deck = _gunwale(length * 0.92, width * 0.84, 0.7)
    b.prism("deck", deck + [(-x, y) for x, y in deck[:0:-1]], 0.12, (0, 0, height))
    b.box("cabin", (width * 0.5, length * 0.24, 0.36), (0, 0.12 * length, height + 0.16))
    mast = length * b.uniform(0.85, 1.2)
    foot, thick, bar = height + 0.35, 0.15, 0.08
    two = b.chance(0.25)
    masts = [(-0.16 * length, mast), (0.2 * length, mast * 0.72)] if two else [(-0.08 * length, mast)]
    for y, tall in masts:
        end = 0.14 * length if two and y < 0 else 0.46 * length
        b.limb("mast", (0, y, 0.1), (0, y, height + tall), bar)
        b.limb("mast", (0, y, foot), (0, end, foot), bar * 0.9)
        b.prism(
            "sails",
            [(y, foot), (end, foot), (y + (end - y) * 0.45, foot + tall * 0.48), (y, height + tall * 0.97)],
            thick,
            rot=UPRIGHT_X,
        )
    y, tall = masts[0]
    b.prism(
        "sails",
        [(-0.49 * length, height + 0.1), (y - 0.15, foot), (y - 0.1, height + tall * 0.8)],
        thick,
        rot=UPRIGHT_X,
    )
    b.rod("mast", (0, -0.5 * length, height), (0, y, height + tall * 0.86), 0.05)
    b.limb("deck", (0, 0.47 * length, 0.05), (0, 0.5 * length, height), 0.1)
    b.phrase("with three sails" if two else "with two sails")
    b.adjective("tall" if mast / length > 1.1 else "")


SAILBOAT = Family(
    "sailboat",
    "vehicles",
    ("sailboat", "sailing boat", "yacht"),
    (
        Slot("hull", (*PAINT, "wooden")),
        Slot("sails", ("white", "white", "beige"), "sails", paint=0.3),
        Slot("deck", (*WOOD, "beige")),
        Slot("mast", (*WOOD, "silver", "grey")),
        Slot("cabin", ("white", "beige", "grey")),
    ),
    _sailboat,
)

FAMILIES: tuple[Family, ...] = (BOAT, ROWING_BOAT, SAILBOAT)
