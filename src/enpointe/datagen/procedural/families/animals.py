"""Animals. They look along -y and stand on z = 0; lengths are about those of a body one unit long."""

from __future__ import annotations

from itertools import pairwise

from enpointe.datagen.procedural.colours import FUR, PAINT
from enpointe.datagen.procedural.recipe import UPRIGHT_X, Builder, Family, Slot

Point = tuple[float, float, float]
BOTH = (-1, 1)


def _taper(b: Builder, slot: str, points: list[Point], start: float, end: float) -> None:
    """Limbs through the points that thin out from radius `start` to `end`."""
    count = len(points) - 1
    for i, (one, two) in enumerate(pairwise(points)):
        b.limb(slot, one, two, start + (end - start) * i / max(count - 1, 1))


def _eyes(b: Builder, x: float, y: float, z: float, radius: float, slot: str = "eyes") -> None:
    for side in BOTH:
        b.ball(slot, radius, (side * x, y, z))


def _legs(
    b: Builder, slot: str, x: float, front: float, back: float, top: float, radius: float, foot: str = ""
) -> None:
    """Four straight legs from height `top`; with `foot`, feet painted in that slot."""
    for side in BOTH:
        for y in (front, back):
            if foot:
                b.cylinder(foot, radius * 1.15, radius * 1.6, (side * x, y, radius * 0.8))
            b.limb(slot, (side * x, y, radius * (1.8 if foot else 1.0)), (side * x, y, top), radius)


def _dog(b: Builder) -> None:
    long, high, girth = b.uniform(0.36, 0.52), b.uniform(0.38, 0.6), b.uniform(0.17, 0.21)
    b.ellipsoid("fur", (girth, long, girth), (0, 0, high))
    b.ellipsoid("fur", (girth * 1.08, girth * 1.2, girth * 1.15), (0, -long * 0.55, high + 0.02))
    _legs(b, "fur", girth * 0.6, -long * 0.65, long * 0.68, high - 0.05, b.uniform(0.06, 0.075))
    head = (0.0, -long - 0.12, high + b.uniform(0.32, 0.42))
    b.limb("fur", (0, -long * 0.6, high + 0.05), head, 0.11)
    b.ellipsoid("fur", (0.165, 0.18, 0.16), head)
    nose = b.uniform(0.2, 0.3)
    b.limb("fur", head, (0, head[1] - nose, head[2] - 0.06), 0.085)
    b.ball("nose", 0.05, (0, head[1] - nose - 0.06, head[2] - 0.03))
    _eyes(b, 0.085, head[1] - 0.13, head[2] + 0.07, 0.035)
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
        _legs(b, "fur", 0.095, -long * 0.68, long * 0.7, high - 0.05, 0.055)
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
    _eyes(b, size * 0.45, y - size * 0.78, z + size * 0.2, size * 0.2)
    for side in BOTH:
        b.rod("fur", (side * size * 0.6, y, z + size * 0.55), (side * size * 0.85, y, z + size * 1.6), size * 0.5, 0.01)


def _horse(b: Builder) -> None:
    long, high, girth = b.uniform(0.5, 0.58), b.uniform(0.82, 0.98), b.uniform(0.2, 0.24)
    b.ellipsoid("coat", (girth, long, girth * 1.05), (0, 0, high))
    b.ellipsoid("coat", (girth * 0.98, girth * 1.1, girth * 1.15), (0, long * 0.55, high + 0.03))
    b.ellipsoid("coat", (girth * 0.95, girth * 1.1, girth * 1.15), (0, -long * 0.55, high + 0.02))
    _legs(b, "coat", girth * 0.6, -long * 0.72, long * 0.76, high - 0.1, 0.068, "hooves")
    up = b.uniform(0.48, 0.58)
    poll = (0.0, -long - 0.28, high + up)
    _taper(b, "coat", [(0, -long * 0.65, high + 0.05), (0, -long * 0.95, high + up * 0.5), poll], 0.145, 0.11)
    nose = (0.0, poll[1] - 0.28, poll[2] - b.uniform(0.16, 0.26))
    _taper(b, "coat", [poll, (0, (poll[1] + nose[1]) / 2, (poll[2] + nose[2]) / 2), nose], 0.11, 0.085)
    for side in BOTH:
        b.rod(
            "coat",
            (side * 0.06, poll[1] + 0.02, poll[2] + 0.06),
            (side * 0.08, poll[1] + 0.02, poll[2] + 0.25),
            0.05,
            0.015,
        )
    _eyes(b, 0.1, poll[1] - 0.1, poll[2] - 0.02, 0.035)
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


def _elephant(b: Builder) -> None:
    long, high, girth = b.uniform(0.5, 0.6), b.uniform(0.68, 0.8), b.uniform(0.34, 0.4)
    b.ellipsoid("skin", (girth, long, girth), (0, 0, high))
    _legs(b, "skin", girth * 0.58, -long * 0.55, long * 0.6, high - 0.1, b.uniform(0.125, 0.145))
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
    _taper(b, "skin", trunk, 0.12, 0.065)
    if b.chance(0.75):
        for side in BOTH:
            b.path(
                "tusks",
                [(side * 0.15, y + 0.05, z - 0.14), (side * 0.18, y - 0.2, z - 0.26), (side * 0.17, y - 0.34, z - 0.2)],
                0.042,
            )
        b.phrase("with tusks")
    _eyes(b, 0.17, head[1] - 0.18, head[2] + 0.07, 0.042)
    _taper(b, "skin", [(0, long * 0.95, high + 0.08), (0, long + 0.08, high - 0.3)], 0.042, 0.042)


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
    _eyes(b, 0.11, head[1] - 0.12, head[2] + 0.05, 0.035)


def _bird(b: Builder) -> None:
    long, girth, high = b.uniform(0.3, 0.38), b.uniform(0.17, 0.21), b.uniform(0.36, 0.46)
    b.ellipsoid("feathers", (girth, long, girth * 1.05), (0, 0, high), (-25, 0, 0))
    b.ellipsoid("breast", (girth * 0.85, girth * 1.05, girth * 1.05), (0, -long * 0.42, high + 0.03))
    head = (0.0, -long * 0.85, high + 0.27)
    b.ball("feathers", b.uniform(0.145, 0.165), head)
    b.rod("beak", (0, head[1] - 0.1, head[2]), (0, head[1] - b.uniform(0.28, 0.36), head[2] - 0.02), 0.065, 0.012)
    _eyes(b, 0.1, head[1] - 0.08, head[2] + 0.05, 0.033)
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
    _eyes(b, 0.1, head[1] - 0.09, head[2] + 0.05, 0.033)
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
    _eyes(b, girth * 0.32, head[1] - girth * 0.57, head[2] + 0.07, 0.045, "belly")
    out = b.uniform(10, 35)
    for side in BOTH:
        b.ellipsoid(
            "feathers",
            (0.05, 0.1, high * 0.55),
            (side * (girth + 0.03 + out * 0.002), 0, high * 1.05),
            (0, -side * out, 0),
        )
        b.ellipsoid("beak", (0.1, 0.16, 0.045), (side * 0.12, -0.14, 0.045))


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


def _sheep(b: Builder) -> None:
    long, girth, high = b.uniform(0.36, 0.44), b.uniform(0.26, 0.31), b.uniform(0.46, 0.55)
    b.ellipsoid("wool", (girth, long, girth), (0, 0, high))
    for y in (-0.6, 0.0, 0.6):
        b.ball("wool", girth * 0.55, (0, y * long, high + girth * 0.62))
        for side in BOTH:
            b.ball("wool", girth * 0.55, (side * girth * 0.6, (y + 0.1) * long, high + 0.05 - 0.08 * abs(y)))
    b.ball("wool", 0.11, (0, long + 0.04, high + 0.1))
    _legs(b, "face", girth * 0.5, -long * 0.55, long * 0.6, high - 0.1, 0.058)
    head = (0.0, -long - 0.13, high + 0.2)
    b.ellipsoid("face", (0.125, 0.2, 0.135), head, (25, 0, 0))
    b.ball("wool", 0.14, (0, head[1] + 0.07, head[2] + 0.11))
    for side in BOTH:
        b.ellipsoid("face", (0.12, 0.05, 0.045), (side * 0.19, head[1] + 0.07, head[2] + 0.03), (0, side * 20, 0))
    _eyes(b, 0.09, head[1] - 0.1, head[2] + 0.07, 0.035, "white")


def _cow(b: Builder) -> None:
    long, girth, high = b.uniform(0.5, 0.58), b.uniform(0.25, 0.29), b.uniform(0.62, 0.7)
    b.ellipsoid("coat", (girth, long, girth), (0, 0, high))
    b.ellipsoid("coat", (girth * 0.95, girth, girth), (0, long * 0.6, high + 0.02))
    _legs(b, "coat", girth * 0.62, -long * 0.66, long * 0.72, high - 0.1, 0.075, "hooves")
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
    _eyes(b, 0.12, head[1] - 0.12, head[2] + 0.06, 0.035)
    b.ellipsoid("muzzle", (0.12, 0.13, 0.09), (0, long * 0.4, high - girth * 0.92))
    b.path("coat", [(0, long * 0.95, high + 0.12), (0, long + 0.12, high), (0, long + 0.14, high - 0.35)], 0.038)


def _pig(b: Builder) -> None:
    long, girth, high = b.uniform(0.42, 0.5), b.uniform(0.26, 0.31), b.uniform(0.42, 0.48)
    b.ellipsoid("skin", (girth, long, girth), (0, 0, high))
    _legs(b, "skin", girth * 0.58, -long * 0.55, long * 0.6, high - 0.12, 0.08)
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
    _eyes(b, 0.12, head[1] - 0.16, head[2] + 0.09, 0.035)
    b.torus("skin", 0.075, 0.032, (0, long + 0.07, high + 0.12), (0, 90, 0))
    b.adjective("fat" if girth > 0.295 else "")


def _giraffe(b: Builder) -> None:
    long, high, girth = b.uniform(0.36, 0.44), b.uniform(0.82, 0.98), b.uniform(0.18, 0.21)
    up = b.uniform(0.85, 1.1)
    b.ellipsoid("coat", (girth, long, girth * 1.1), (0, 0, high), (-12, 0, 0))
    _legs(b, "coat", girth * 0.6, -long * 0.65, long * 0.65, high - 0.08, 0.065, "patches")
    poll = (0.0, -long - 0.3, high + up)
    _taper(b, "coat", [(0, -long * 0.65, high + 0.06), (0, -long * 0.9, high + up * 0.5), poll], 0.13, 0.1)
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
    _eyes(b, 0.085, poll[1] - 0.08, poll[2] + 0.04, 0.035)
    b.path("patches", [(0, long * 0.92, high - 0.02), (0, long + 0.08, high - 0.4)], 0.038)
    b.phrase("with a long neck")


EYES = Slot("eyes", ("black",))
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
ELEPHANT = Family(
    "elephant",
    "animals",
    ("elephant",),
    (Slot("skin", ("grey", "dark grey"), paint=0.3), Slot("tusks", ("white", "beige")), EYES),
    _elephant,
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

FAMILIES: tuple[Family, ...] = (
    DOG,
    CAT,
    HORSE,
    ELEPHANT,
    RABBIT,
    BIRD,
    DUCK,
    PENGUIN,
    FISH,
    SHEEP,
    COW,
    PIG,
    GIRAFFE,
)
