"""Animals of a farm: horse, sheep, cow, pig."""

from __future__ import annotations

from enpointe.data.procedural.families.animal_parts import BOTH, EYES, eyes, legs, taper
from enpointe.data.procedural.family import Builder, Family, Slot


def _horse(b: Builder) -> None:
    long, high, girth = b.uniform(0.5, 0.58), b.uniform(0.82, 0.98), b.uniform(0.2, 0.24)
    b.ellipsoid("coat", (girth, long, girth * 1.05), (0, 0, high))
    b.ellipsoid("coat", (girth * 0.98, girth * 1.1, girth * 1.15), (0, long * 0.55, high + 0.03))
    b.ellipsoid("coat", (girth * 0.95, girth * 1.1, girth * 1.15), (0, -long * 0.55, high + 0.02))
    legs(b, "coat", girth * 0.6, -long * 0.72, long * 0.76, high - 0.1, 0.068, "hooves")
    up = b.uniform(0.48, 0.58)
    poll = (0.0, -long - 0.28, high + up)
    taper(b, "coat", [(0, -long * 0.65, high + 0.05), (0, -long * 0.95, high + up * 0.5), poll], 0.145, 0.11)
    nose = (0.0, poll[1] - 0.28, poll[2] - b.uniform(0.16, 0.26))
    taper(b, "coat", [poll, (0, (poll[1] + nose[1]) / 2, (poll[2] + nose[2]) / 2), nose], 0.11, 0.085)
    for side in BOTH:
        b.rod(
            "coat",
            (side * 0.06, poll[1] + 0.02, poll[2] + 0.06),
            (side * 0.08, poll[1] + 0.02, poll[2] + 0.25),
            0.05,
            0.015,
        )
    eyes(b, 0.1, poll[1] - 0.1, poll[2] - 0.02, 0.035)
    mane = [
        (0.0, poll[1] - 0.02, poll[2] + 0.13),
        (0.0, poll[1] + 0.17, poll[2] + 0.0),
        (0.0, -long * 0.95 + 0.19, high + up * 0.56),
        (0.0, -long * 0.4, high + 0.24),
    ]
    b.path("mane", mane, 0.07)
    drop = b.uniform(0.45, 0.6)
    b.path("mane", [(0, long * 0.92, high + 0.12), (0, long + 0.14, high + 0.02), (0, long + 0.18, high - drop)], 0.07)
    if b.chance(0.3):
        b.ellipsoid("saddle", (girth * 1.08, 0.2, girth * 0.75), (0, -0.03, high + girth * 0.42))
        b.phrase("with a saddle")


def _sheep(b: Builder) -> None:
    long, girth, high = b.uniform(0.36, 0.44), b.uniform(0.26, 0.31), b.uniform(0.46, 0.55)
    b.ellipsoid("wool", (girth, long, girth), (0, 0, high))
    for y in (-0.6, 0.0, 0.6):
        b.ball("wool", girth * 0.55, (0, y * long, high + girth * 0.62))
        for side in BOTH:
            b.ball("wool", girth * 0.55, (side * girth * 0.6, (y + 0.1) * long, high + 0.05 - 0.08 * abs(y)))
    b.ball("wool", 0.11, (0, long + 0.04, high + 0.1))
    legs(b, "face", girth * 0.5, -long * 0.55, long * 0.6, high - 0.1, 0.058)
    head = (0.0, -long - 0.13, high + 0.2)
    b.ellipsoid("face", (0.125, 0.2, 0.135), head, (25, 0, 0))
    b.ball("wool", 0.14, (0, head[1] + 0.07, head[2] + 0.11))
    for side in BOTH:
        b.ellipsoid("face", (0.12, 0.05, 0.045), (side * 0.19, head[1] + 0.07, head[2] + 0.03), (0, side * 20, 0))
    eyes(b, 0.09, head[1] - 0.1, head[2] + 0.07, 0.035, "white")


def _cow(b: Builder) -> None:
    long, girth, high = b.uniform(0.5, 0.58), b.uniform(0.25, 0.29), b.uniform(0.62, 0.7)
    b.ellipsoid("coat", (girth, long, girth), (0, 0, high))
    b.ellipsoid("coat", (girth * 0.95, girth, girth), (0, long * 0.6, high + 0.02))
    legs(b, "coat", girth * 0.62, -long * 0.66, long * 0.72, high - 0.1, 0.075, "hooves")
    for _ in range(b.integer(2, 4)):
        side, y = b.choice(BOTH), b.uniform(-0.55, 0.6)
        around = girth * (1 - y * y) ** 0.5
        b.ellipsoid(
            "patches",
            (0.1, b.uniform(0.14, 0.2), b.uniform(0.1, 0.16)),
            (side * (around - 0.05), y * long, high + b.uniform(0.0, 0.1)),
        )
    head = (0.0, -long - 0.16, high + 0.2)
    b.limb("coat", (0, -long * 0.6, high + 0.05), head, 0.15)
    b.ellipsoid("coat", (0.155, 0.2, 0.16), head)
    b.ellipsoid("muzzle", (0.135, 0.12, 0.105), (0, head[1] - 0.19, head[2] - 0.08))
    for side in BOTH:
        b.path(
            "horns",
            [
                (side * 0.1, head[1] + 0.08, head[2] + 0.12),
                (side * 0.2, head[1] + 0.06, head[2] + 0.2),
                (side * 0.22, head[1] + 0.04, head[2] + 0.32),
            ],
            0.038,
        )
        b.ellipsoid("coat", (0.13, 0.045, 0.065), (side * 0.24, head[1] + 0.08, head[2] + 0.05), (0, side * 15, 0))
    eyes(b, 0.12, head[1] - 0.12, head[2] + 0.06, 0.035)
    b.ellipsoid("muzzle", (0.12, 0.13, 0.09), (0, long * 0.4, high - girth * 0.92))
    b.path("coat", [(0, long * 0.95, high + 0.12), (0, long + 0.12, high), (0, long + 0.14, high - 0.35)], 0.038)


def _pig(b: Builder) -> None:
    long, girth, high = b.uniform(0.42, 0.5), b.uniform(0.26, 0.31), b.uniform(0.42, 0.48)
    b.ellipsoid("skin", (girth, long, girth), (0, 0, high))
    legs(b, "skin", girth * 0.58, -long * 0.55, long * 0.6, high - 0.12, 0.08)
    head = (0.0, -long - 0.06, high + 0.08)
    b.ellipsoid("skin", (0.21, 0.21, 0.2), head)
    b.rod("snout", (0, head[1] - 0.1, head[2] - 0.04), (0, head[1] - 0.3, head[2] - 0.05), 0.105, 0.095)
    for side in BOTH:
        b.rod(
            "skin",
            (side * 0.12, head[1] + 0.03, head[2] + 0.12),
            (side * 0.18, head[1] - 0.06, head[2] + 0.32),
            0.095,
            0.015,
        )
        b.ball("eyes", 0.03, (side * 0.045, head[1] - 0.295, head[2] - 0.04))
    eyes(b, 0.12, head[1] - 0.16, head[2] + 0.09, 0.035)
    b.torus("skin", 0.075, 0.032, (0, long + 0.07, high + 0.12), (0, 90, 0))
    b.adjective("fat" if girth > 0.295 else "")


HORSE = Family(
    "horse",
    "animals",
    ("horse", "pony", "stallion"),
    (
        Slot("coat", ("brown", "black", "white", "grey", "beige", "wooden"), paint=0.2),
        Slot("mane", ("black", "brown", "white", "golden"), "a mane", paint=0.2),
        Slot("hooves", ("black", "dark grey")),
        Slot("saddle", ("brown", "red", "black"), paint=0.2),
        EYES,
    ),
    _horse,
)
SHEEP = Family(
    "sheep",
    "animals",
    ("sheep", "lamb"),
    (
        Slot("wool", ("white", "white", "beige", "black"), paint=0.2),
        Slot("face", ("black", "black", "dark grey"), "a face", paint=0.1),
        Slot("white", ("white",)),
    ),
    _sheep,
)
COW = Family(
    "cow",
    "animals",
    ("cow", "bull"),
    (
        Slot("coat", ("white", "white", "brown", "black"), paint=0.2),
        Slot("patches", ("black", "brown"), "patches", paint=0.15),
        Slot("muzzle", ("pink",)),
        Slot("horns", ("beige", "white", "dark grey"), "horns"),
        Slot("hooves", ("dark grey", "black")),
        EYES,
    ),
    _cow,
)
PIG = Family(
    "pig",
    "animals",
    ("pig", "piglet", "hog"),
    (
        Slot("skin", ("pink", "pink", "pink", "brown"), paint=0.25),
        Slot("snout", ("pink",), "a snout", paint=0.1),
        EYES,
    ),
    _pig,
)
