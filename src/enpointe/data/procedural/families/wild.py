"""Animals of the wild: elephant, giraffe, fish."""

from __future__ import annotations

from enpointe.data.procedural.families.animal_parts import BOTH, EYES, eyes, legs, taper
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot


def _elephant(b: Builder) -> None:
    long, high, girth = b.uniform(0.5, 0.6), b.uniform(0.68, 0.8), b.uniform(0.34, 0.4)
    b.ellipsoid("skin", (girth, long, girth), (0, 0, high))
    legs(b, "skin", girth * 0.58, -long * 0.55, long * 0.6, high - 0.1, b.uniform(0.125, 0.145))
    head = (0.0, -long - 0.14, high + 0.2)
    b.ellipsoid("skin", (0.25, 0.27, 0.28), head)
    ear = b.uniform(0.28, 0.36)
    for side in BOTH:
        b.ellipsoid(
            "skin",
            (ear, 0.055, ear * 1.1),
            (side * (0.2 + ear * 0.75), head[1] + 0.08, head[2] + 0.04),
            (0, 0, side * 15),
        )
    y, z = head[1] - 0.2, head[2] - 0.05
    if b.chance(0.35):
        trunk = [
            (0.0, y, z),
            (0.0, y - 0.18, z - 0.3),
            (0.0, y - 0.38, z - 0.28),
            (0.0, y - 0.46, z - 0.05),
            (0.0, y - 0.42, z + 0.2),
        ]
        b.phrase("with its trunk up")
    else:
        trunk = [
            (0.0, y, z),
            (0.0, y - 0.2, z - 0.18),
            (0.0, y - 0.27, z - 0.42),
            (0.0, y - 0.33, z - 0.6),
            (0.0, y - 0.47, z - 0.62),
        ]
    taper(b, "skin", trunk, 0.12, 0.065)
    if b.chance(0.75):
        for side in BOTH:
            b.path(
                "tusks",
                [(side * 0.15, y + 0.05, z - 0.14), (side * 0.18, y - 0.2, z - 0.26), (side * 0.17, y - 0.34, z - 0.2)],
                0.042,
            )
        b.phrase("with tusks")
    eyes(b, 0.17, head[1] - 0.18, head[2] + 0.07, 0.042)
    taper(b, "skin", [(0, long * 0.95, high + 0.08), (0, long + 0.08, high - 0.3)], 0.042, 0.042)


def _fish(b: Builder) -> None:
    long, tall = b.uniform(0.42, 0.5), b.uniform(0.18, 0.3)
    wide, high = tall * b.uniform(0.5, 0.65), 0.5
    b.ellipsoid("scales", (wide, long, tall), (0, 0, high))
    fork, tip = b.uniform(0.06, 0.14), long + b.uniform(0.24, 0.32)
    spread = tall * b.uniform(0.9, 1.15)
    tail = [(long * 0.8, 0.05), (tip, spread), (tip - fork, 0), (tip, -spread), (long * 0.8, -0.05)]
    b.prism("fins", tail, 0.05, (0, 0, high), UPRIGHT_X)
    rise = tall + b.uniform(0.1, 0.2)
    b.prism(
        "fins",
        [(-long * 0.45, tall * 0.75), (-long * 0.1, rise), (long * 0.45, rise * 0.85), (long * 0.6, tall * 0.55)],
        0.05,
        (0, 0, high),
        UPRIGHT_X,
    )
    b.prism(
        "fins",
        [(-long * 0.1, -tall * 0.85), (long * 0.2, -rise * 0.95), (long * 0.5, -tall * 0.6)],
        0.05,
        (0, 0, high),
        UPRIGHT_X,
    )
    for side in BOTH:
        b.ellipsoid(
            "fins", (0.035, 0.14, 0.08), (side * (wide + 0.04), -long * 0.2, high - tall * 0.3), (-25, 0, side * 25)
        )
    for side in BOTH:
        b.ball("white", 0.06, (side * wide * 0.68, -long * 0.65, high + tall * 0.22))
        b.ball("eyes", 0.04, (side * (wide * 0.68 + 0.035), -long * 0.67, high + tall * 0.22))
    b.adjective("long" if tall < 0.21 else "round" if tall > 0.27 else "")


def _giraffe(b: Builder) -> None:
    long, high, girth = b.uniform(0.36, 0.44), b.uniform(0.82, 0.98), b.uniform(0.18, 0.21)
    up = b.uniform(0.85, 1.1)
    b.ellipsoid("coat", (girth, long, girth * 1.1), (0, 0, high), (-12, 0, 0))
    legs(b, "coat", girth * 0.6, -long * 0.65, long * 0.65, high - 0.08, 0.065, "patches")
    poll = (0.0, -long - 0.3, high + up)
    taper(b, "coat", [(0, -long * 0.65, high + 0.06), (0, -long * 0.9, high + up * 0.5), poll], 0.13, 0.1)
    b.limb("coat", poll, (0, poll[1] - 0.27, poll[2] - 0.08), 0.09)
    for side in BOTH:
        b.limb(
            "patches",
            (side * 0.05, poll[1] + 0.02, poll[2] + 0.05),
            (side * 0.06, poll[1] + 0.02, poll[2] + 0.22),
            0.04,
        )
        b.ellipsoid("coat", (0.11, 0.04, 0.055), (side * 0.15, poll[1] + 0.06, poll[2] + 0.05), (0, -side * 15, 0))
        for y, z in ((-0.5, 0.08), (0.0, 0.05), (0.5, 0.0)):
            b.ellipsoid("patches", (0.07, 0.1, 0.1), (side * (girth * 0.95 - 0.045 - 0.06 * y * y), y * long, high + z))
        b.ellipsoid("patches", (0.05, 0.08, 0.1), (side * 0.085, -long * 0.85, high + up * 0.36))
        b.ellipsoid("patches", (0.05, 0.07, 0.1), (side * 0.07, -long * 0.97 - 0.1, high + up * 0.7))
    eyes(b, 0.085, poll[1] - 0.08, poll[2] + 0.04, 0.035)
    b.path("patches", [(0, long * 0.92, high - 0.02), (0, long + 0.08, high - 0.4)], 0.038)
    b.phrase("with a long neck")


ELEPHANT = Family(
    "elephant",
    "animals",
    ("elephant",),
    (Slot("skin", ("grey", "dark grey"), paint=0.3), Slot("tusks", ("white", "beige")), EYES),
    _elephant,
)
FISH = Family(
    "fish",
    "animals",
    ("fish", "goldfish", "tropical fish"),
    (
        Slot("scales", ("orange", "silver", "blue", "golden", "green", "red", "yellow"), paint=0.3),
        Slot("fins", ("orange", "yellow", "blue", "red", "grey"), "fins", paint=0.2),
        Slot("white", ("white",)),
        EYES,
    ),
    _fish,
)
GIRAFFE = Family(
    "giraffe",
    "animals",
    ("giraffe",),
    (
        Slot("coat", ("yellow", "beige", "golden"), paint=0.2),
        Slot("patches", ("brown", "brown", "dark red"), "patches", paint=0.1),
        EYES,
    ),
    _giraffe,
)
