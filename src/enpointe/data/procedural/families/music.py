"""Keys, drums and brass. A piano's keys and a trumpet's bell look along -y."""

from __future__ import annotations

import numpy as np

from enpointe.data.procedural.colors import METAL, PAINT, WOOD
from enpointe.data.procedural.family import Builder, Family, Slot


def _keyboard(b: Builder, wide: float, at: tuple[float, float, float]) -> None:
    """White keys with black ones in twos and threes; `at` is the middle of the keys' top."""
    x, y, z = at
    b.box("white keys", (wide, 0.24, 0.08), (x, y, z - 0.02))
    pitch = wide / 12
    for i in (1, 2, 4, 5, 6, 8, 9, 11):
        b.box("black keys", (pitch * 0.5, 0.14, 0.07), (x + (i - 6) * pitch, y + 0.05, z + 0.03))


def _stool(b: Builder, y: float) -> None:
    b.box("stool", (0.6, 0.34, 0.12), (0, y, 0.46))
    for x in (-0.24, 0.24):
        b.box("stool", (0.08, 0.3, 0.44), (x, y, 0.22))
    b.phrase("with a stool")


def _piano(b: Builder) -> None:
    wide, tall = b.uniform(1.35, 1.55), b.uniform(1.05, 1.3)
    b.box("body", (wide, 0.4, tall), (0, 0.2, tall / 2))
    b.box("body", (wide * 1.05, 0.5, 0.08), (0, 0.18, tall))
    b.box("body", (wide, 0.4, 0.12), (0, -0.16, 0.64))
    for x in (-0.48, 0.48):
        b.box("body", (0.08, 0.4, 0.24), (x * wide, -0.16, 0.7))
        b.box("body", (0.1, 0.1, 0.6), (x * wide * 0.95, -0.3, 0.3))
        b.box("body", (0.12, 0.46, 0.08), (x * wide * 0.95, -0.14, 0.04))
    _keyboard(b, wide * 0.88, (0, -0.22, 0.74))
    b.box("sheet", (0.5, 0.05, 0.28), (0, -0.03, 0.98), (-12, 0, 0))
    for x in (-0.1, 0.1):
        b.box("pedals", (0.07, 0.14, 0.05), (x, -0.05, 0.06))
    if b.chance(0.4):
        _stool(b, -0.75)
    b.adjective("upright")


PIANO_PAINT = (*PAINT, "black", "black", "brown", "brown", "white", "wooden")
PIANO_SLOTS = (
    Slot("body", PIANO_PAINT),
    Slot("white keys", ("white",)),
    Slot("black keys", ("black",)),
    Slot("sheet", ("white", "beige")),
    Slot("pedals", ("golden",)),
    Slot("stool", ("black", "brown", "red"), "a stool", paint=0.2),
)
PIANO = Family("piano", "music", ("piano", "upright piano"), PIANO_SLOTS, _piano)


def _grand_piano(b: Builder) -> None:
    wide, long = b.uniform(1.4, 1.55), b.uniform(1.5, 2.1)
    h, level, deep = wide / 2, 0.78, 0.28
    # The bass side is straight; the treble side curves in behind the keys.
    plan = [
        (-h, 0.1),
        (h, 0.1),
        (h, long * 0.32),
        (h * 0.82, long * 0.5),
        (h * 0.36, long * 0.64),
        (h * 0.08, long * 0.8),
        (-h * 0.2, long * 0.95),
        (-h * 0.6, long),
        (-h * 0.92, long * 0.94),
        (-h, long * 0.8),
    ]
    b.prism("body", plan, deep, (0, 0, level))
    b.prism("strings", [(x * 0.88, 0.3 + (y - 0.1) * 0.8) for x, y in plan], 0.06, (-0.02 * wide, 0, level + deep / 2))
    b.box("body", (wide, 0.34, 0.14), (0, -0.02, level - 0.07))
    for x in (-0.47, 0.47):
        b.box("body", (0.09, 0.36, deep), (x * wide, -0.02, level))
    _keyboard(b, wide * 0.86, (0, -0.06, level + 0.04))
    if b.chance(0.75):
        # The lid hangs on the straight side and stands open towards the treble.
        turn = b.uniform(32, 44)
        lid = [(x + h, y) for x, y in plan]
        b.prism("body", lid, 0.07, (-h, 0, level + deep / 2), (0, -turn, 0))
        a = np.deg2rad(turn)
        b.rod(
            "body",
            (h * 0.75, long * 0.35, level),
            (-h + 1.6 * h * np.cos(a), long * 0.35, level + deep / 2 + 1.6 * h * np.sin(a)),
            0.035,
        )
        b.phrase("with an open lid")
    b.box("sheet", (0.5, 0.05, 0.26), (0, 0.2, level + deep / 2 + 0.1), (-15, 0, 0))
    for x, y in ((-h * 0.85, 0.25), (h * 0.85, 0.25), (-h * 0.55, long * 0.82)):
        b.cylinder("body", 0.06, level, (x, y, level / 2), top=0.09)
    if b.chance(0.4):
        _stool(b, -0.6)


GRAND_PIANO = Family(
    "grand piano",
    "music",
    ("grand piano", "piano"),
    (*PIANO_SLOTS[:4], Slot("strings", ("golden", "brown")), PIANO_SLOTS[5]),
    _grand_piano,
)


def _sticks(b: Builder, radius: float, top: float) -> None:
    for x in (-1, 1):
        b.limb(
            "sticks",
            (x * radius * 0.15, radius * 0.5, top + 0.03),
            (x * radius * 0.55, -radius * 1.15, top + 0.2),
            0.035,
        )
        b.ball("sticks", 0.06, (x * radius * 0.15, radius * 0.5, top + 0.06))
    b.phrase("with two drumsticks")


def _drum(b: Builder) -> None:
    if b.chance(0.3):
        _goblet_drum(b)
        return
    radius = b.uniform(0.45, 0.6)
    tall = radius * b.uniform(0.6, 1.7)
    b.cylinder("body", radius, tall, (0, 0, tall / 2))
    b.cylinder("skin", radius * 0.95, 0.05, (0, 0, tall + 0.01))
    for z in (0.05, tall - 0.03):
        b.torus("rims", radius, 0.055, (0, 0, z))
    count = b.integer(5, 8)
    turns = np.arange(count) * 2 * np.pi / count
    if b.chance(0.5):
        # Cords that zigzag between the rims.
        for a, c in zip(turns, turns + np.pi / count, strict=True):
            for end in (c, 2 * a - c):
                b.rod(
                    "rims",
                    (radius * np.cos(a), radius * np.sin(a), 0.06),
                    (radius * np.cos(end), radius * np.sin(end), tall - 0.04),
                    0.022,
                )
    else:
        for a in turns:
            b.rod(
                "rims",
                (radius * np.cos(a), radius * np.sin(a), 0.05),
                (radius * np.cos(a), radius * np.sin(a), tall - 0.03),
                0.03,
            )
    if b.chance(0.6):
        _sticks(b, radius, tall)
    b.adjective("tall" if tall > radius * 1.45 else "flat" if tall < radius * 0.85 else "")


def _goblet_drum(b: Builder) -> None:
    radius, tall = b.uniform(0.32, 0.42), b.uniform(1.0, 1.3)
    neck = radius * b.uniform(0.42, 0.55)
    profile = [
        (0, 0),
        (radius * 0.75, 0),
        (radius * 0.6, tall * 0.12),
        (neck, tall * 0.4),
        (neck * 1.1, tall * 0.5),
        (radius * 0.9, tall * 0.72),
        (radius, tall * 0.85),
        (radius, tall),
        (0, tall),
    ]
    b.revolve("body", profile)
    b.cylinder("skin", radius * 0.95, 0.05, (0, 0, tall + 0.01))
    b.torus("rims", radius, 0.05, (0, 0, tall - 0.02))
    b.torus("rims", radius * 0.98, 0.04, (0, 0, tall * 0.82))
    b.adjective("tall")


DRUM = Family(
    "drum",
    "music",
    ("drum",),
    (
        Slot("body", (*PAINT, "wooden", "wooden")),
        Slot("skin", ("white", "beige")),
        Slot("rims", (*METAL, "golden", "black"), "rims", paint=0.2),
        Slot("sticks", WOOD, "drumsticks", paint=0.1),
    ),
    _drum,
)


def _drum_kit(b: Builder) -> None:
    bass = b.uniform(0.42, 0.5)
    b.cylinder("body", bass, 0.55, (0, 0, bass), (90, 0, 0))
    b.cylinder("skin", bass * 0.86, 0.6, (0, 0, bass), (90, 0, 0))
    for y in (-0.27, 0.27):
        b.torus("rims", bass, 0.045, (0, y, bass), (90, 0, 0))
    top = 2 * bass + 0.22
    drums = [
        (-0.25, 0.08, 0.21, 0.28, top),
        (0.25, 0.08, 0.21, 0.28, top),
        (0.72, 0.55, 0.3, 0.5, 0.62),
        (-0.68, 0.5, 0.27, 0.2, 0.66),
    ]
    for x, y, radius, tall, z in drums:
        b.cylinder("body", radius, tall, (x, y, z - tall / 2))
        b.cylinder("skin", radius * 0.9, 0.05, (x, y, z + 0.01))
        b.torus("rims", radius, 0.035, (x, y, z - 0.02))
        b.rod("rims", (x, y, 0.0 if z < 0.8 else bass), (x, y, z - tall * 0.8), 0.05)
    for x, y, z, tilt in ((-0.85, -0.05, b.uniform(1.25, 1.45), 14), (0.85, 0.0, b.uniform(1.25, 1.45), -14)):
        b.rod("rims", (x, y, 0), (x, y, z), 0.04)
        b.cylinder("cymbals", 0.36, 0.06, (x, y, z), (12, tilt, 0), top=0.1)
        b.cylinder("rims", 0.18, 0.1, (x, y, 0.05), top=0.04)


DRUM_KIT = Family(
    "drum kit",
    "music",
    ("drum kit", "drum set", "drums"),
    (
        Slot("body", PAINT),
        Slot("skin", ("white", "beige")),
        Slot("rims", METAL),
        Slot("cymbals", ("golden", "golden", "yellow"), "cymbals", paint=0.1),
    ),
    _drum_kit,
)


def _trumpet(b: Builder) -> None:
    length, tube, drop = b.uniform(1.3, 1.5), b.uniform(0.032, 0.04), b.uniform(0.24, 0.3)
    bell, h = b.uniform(0.2, 0.25), length / 2
    z = max(bell, drop * 1.16)
    t = np.linspace(0, 1, 8)
    flare = [(tube + (bell - tube) * u**3, u * 0.55) for u in t]
    # A thin wall: the flare out, and back a little inside.
    b.revolve(
        "body",
        [(0, 0), *flare, *((max(r - 0.03, 0.0), v + 0.005) for r, v in flare[:3:-1]), (0, 0.3)],
        (0, -h + 0.55, z),
        (90, 0, 0),
    )
    back = h * 0.42
    b.path(
        "body",
        [
            (0, -h + 0.6, z),
            (0, back, z),
            (0, back + 0.1, z - drop * 0.3),
            (0, back + 0.1, z - drop * 0.7),
            (0, back, z - drop),
            (0, -h * 0.3, z - drop),
            (0, -h * 0.3 - 0.1, z - drop * 0.7),
            (0.06, -h * 0.3 - 0.1, z - drop * 0.3),
            (0.09, -h * 0.3, z),
            (0.09, h - 0.1, z),
        ],
        tube,
    )
    b.rod("body", (0.09, h - 0.14, z), (0.09, h, z), tube, tube * 2.1)
    for i in range(3):
        y = -0.13 + 0.13 * i
        b.cylinder("valves", 0.058, drop * 1.35, (0.045, y, z - drop * 0.48))
        b.cylinder("valves", 0.022, 0.12, (0.045, y, z + drop * 0.28))
        b.cylinder("valves", 0.045, 0.035, (0.045, y, z + drop * 0.28 + 0.06))


TRUMPET = Family(
    "trumpet",
    "music",
    ("trumpet",),
    (
        Slot("body", (*("golden",) * 16, "silver", "silver", *PAINT)),
        Slot("valves", ("golden", "silver"), "valves", paint=0.2),
    ),
    _trumpet,
)

FAMILIES: tuple[Family, ...] = (PIANO, GRAND_PIANO, DRUM, DRUM_KIT, TRUMPET)
