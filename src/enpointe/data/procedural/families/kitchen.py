"""Things of the kitchen. A handle points to the right, +x, seen from the front at -y."""

from __future__ import annotations

import math

from enpointe.data.procedural.colors import DARK, LEAF, METAL, PAINT, WOOD
from enpointe.data.procedural.family import UPRIGHT_Y, Builder, Family, Slot

FLOWER = ("red", "pink", "yellow", "white", "purple", "orange", "blue")


def _hollow(b: Builder, slot: str, outer: list[tuple[float, float]], wall: float) -> None:
    """A vessel: `outer` runs from the foot's rim up to the mouth as (radius, z), the wall is `wall` thick."""
    inner = [(max(r - wall, wall / 4), max(z, wall)) for r, z in outer[::-1] if z > wall]
    b.revolve(slot, [(0.0, outer[0][1]), *outer, *inner, (inner[-1][0], wall), (0.0, wall)])


def _handle(
    b: Builder, slot: str, top: tuple[float, float], bottom: tuple[float, float], reach: float, radius: float
) -> None:
    """A bow in the xz plane from `top` to `bottom` (x, z), standing `reach` off to +x."""
    points = []
    for i in range(7):
        turn = math.pi * i / 6
        t = (1 - math.cos(turn)) / 2
        x = top[0] + (bottom[0] - top[0]) * t + reach * math.sin(turn)
        points.append((x, 0.0, top[1] + (bottom[1] - top[1]) * t))
    b.path(slot, points, radius)


def _mug(b: Builder) -> None:
    height, radius = b.uniform(0.85, 1.25), b.uniform(0.4, 0.52)
    foot = radius * b.choice((1.0, 1.0, 0.92, 0.75))
    wall = b.uniform(0.06, 0.08)
    _hollow(
        b,
        "body",
        [(foot, 0.0), (radius, height * 0.4 if foot < radius * 0.9 else height * 0.1), (radius, height)],
        wall,
    )
    side = radius - wall / 2
    grip = "handle" if b.chance(0.25) else "body"
    _handle(b, grip, (side, height * 0.84), (side, height * 0.2), b.uniform(0.3, 0.42), b.uniform(0.055, 0.075))
    if b.chance(0.35):
        b.cylinder("coffee", radius - wall / 2, height * 0.1, (0, 0, height * b.uniform(0.82, 0.88)))
        b.phrase("filled with coffee")
    b.phrase("with a handle")
    b.adjective("tall" if height / radius > 2.7 else "wide" if height / radius < 2.0 else "")


def _bottle(b: Builder) -> None:
    radius, height = b.uniform(0.13, 0.2), 1.0
    neck = radius * b.uniform(0.32, 0.45)
    shoulder = b.uniform(0.5, 0.62)
    start = shoulder + b.uniform(0.1, 0.2)
    bulge = shoulder + (start - shoulder) * 0.4
    b.revolve(
        "glass",
        [
            (0, 0),
            (radius * 0.95, 0),
            (radius, 0.03),
            (radius, shoulder),
            (radius * 0.86, bulge),
            (neck, start),
            (neck, height),
            (0, height),
        ],
    )
    b.cylinder("cap", neck * 1.3, 0.09, (0, 0, height))
    if b.chance(0.6):
        tall = shoulder * b.uniform(0.4, 0.6)
        b.cylinder("label", radius * 1.04, tall, (0, 0, shoulder * 0.52))
        b.phrase("with a label")
    b.adjective("slim" if radius < 0.145 else "wide" if radius > 0.185 else "")


def _teapot(b: Builder) -> None:
    radius, belly = b.uniform(0.44, 0.54), b.uniform(0.34, 0.48)
    b.ellipsoid("body", (radius, radius, belly), (0, 0, belly))
    b.cylinder("body", radius * 0.55, 0.1, (0, 0, 0.05))
    lid = "lid" if b.chance(0.3) else "body"
    top = 2 * belly
    b.ellipsoid(lid, (radius * 0.55, radius * 0.55, belly * 0.3), (0, 0, top - 0.06))
    b.ball(lid, b.uniform(0.075, 0.1), (0, 0, top + belly * 0.3 - 0.02))
    out, rise = radius + b.uniform(0.28, 0.4), top * b.uniform(0.85, 1.0)
    b.rod("body", (-radius * 0.7, 0, belly * 0.7), (-(radius + out) / 2, 0, belly * 1.05), 0.16, 0.1)
    b.ball("body", 0.1, (-(radius + out) / 2, 0, belly * 1.05))
    b.rod("body", (-(radius + out) / 2, 0, belly * 1.05), (-out, 0, rise), 0.1, 0.065)
    grip = "handle" if b.chance(0.3) else "body"
    _handle(b, grip, (radius * 0.75, belly * 1.6), (radius * 0.8, belly * 0.55), b.uniform(0.36, 0.46), 0.065)
    b.adjective("round" if belly / radius > 0.85 else "")
    b.phrase("with a spout and a handle")


def _bowl(b: Builder) -> None:
    radius, height = 0.5, b.uniform(0.28, 0.48)
    wall = 0.05
    foot = radius * b.uniform(0.4, 0.5)
    outer = [(foot, 0.0)]
    for i in range(1, 6):
        turn = math.pi / 2 * i / 5
        outer.append((foot + (radius - foot) * math.sin(turn), 0.05 + (height - 0.05) * (1 - math.cos(turn))))
    _hollow(b, "body", outer, wall)
    filling = b.choice(("", "", "", "soup", "fruit"))
    if filling == "soup":
        b.cylinder("soup", radius * 0.9, height * 0.1, (0, 0, height * 0.72))
    elif filling == "fruit":
        for i in range(3):
            turn = 2.1 * i + 0.4
            b.ball("fruit a", 0.2, (0.2 * math.cos(turn), 0.2 * math.sin(turn), height * 0.85))
        b.ball("fruit b", 0.19, (0, 0, height * 0.85 + 0.22))
        b.ball("fruit b", 0.17, (-0.2, -0.2, height * 0.85 + 0.1))
    b.phrase({"": "", "soup": "of soup", "fruit": "of fruit"}[filling])
    b.adjective("deep" if height > 0.43 else "shallow" if height < 0.33 else "")


def _pan(b: Builder) -> None:
    radius, height = 0.5, b.uniform(0.13, 0.2)
    _hollow(b, "pan", [(radius * 0.85, 0.0), (radius, height)], 0.06)
    grip = "pan" if b.chance(0.4) else "handle"
    length = b.uniform(0.6, 0.85)
    b.limb(grip, (radius * 0.9, 0, height * 0.75), (radius + length, 0, height * b.uniform(0.9, 1.5)), 0.055)
    b.phrase("with a long handle" if length > 0.72 else "")
    if b.chance(0.25):
        b.ellipsoid("egg white", (0.3, 0.25, 0.05), (b.uniform(-0.06, 0.06), 0, 0.08))
        b.ellipsoid("yolk", (0.11, 0.11, 0.09), (0, 0, 0.1))
        b.phrase("with a fried egg")


def _pot(b: Builder) -> None:
    radius, height = 0.5, b.uniform(0.5, 0.85)
    wall = 0.06
    lidded = b.chance(0.6)
    if lidded:
        b.cylinder("pot", radius, height, (0, 0, height / 2))
        b.ellipsoid("lid", (radius * 1.04, radius * 1.04, 0.15), (0, 0, height))
        b.cylinder("handles", 0.09, 0.12, (0, 0, height + 0.18), top=0.11)
        b.phrase("with a lid")
    else:
        _hollow(b, "pot", [(radius, 0.0), (radius, height)], wall)
    for side in (-1, 1):
        x, z = side * radius, height * 0.75
        b.path("handles", [(x * 0.97, -0.16, z), (x * 1.3, -0.14, z), (x * 1.3, 0.14, z), (x * 0.97, 0.16, z)], 0.05)
    b.phrase("with two handles")
    b.adjective("tall" if height > 0.75 else "")


def _wine_glass(b: Builder) -> None:
    height, radius = 1.0, b.uniform(0.2, 0.28)
    stem, foot = b.uniform(0.36, 0.48), radius * b.uniform(0.8, 0.95)
    rim = radius * b.uniform(0.75, 1.0)
    bowl = height - stem
    outer = [(radius * 0.7, stem + bowl * 0.12), (radius, stem + bowl * 0.4), (rim, height)]
    inner = [(rim - 0.035, height), (radius - 0.035, stem + bowl * 0.4), (radius * 0.6, stem + bowl * 0.2)]
    b.revolve(
        "glass",
        [(0, 0), (foot, 0), (foot, 0.035), (0.045, 0.08), (0.035, stem), *outer, *inner, (0, stem + bowl * 0.1)],
    )
    if b.chance(0.55):
        low, high = stem + bowl * 0.12, stem + bowl * b.uniform(0.5, 0.62)
        # A little wider than the wall: through glass one sees the wine.
        b.revolve(
            "wine",
            [(0, low), (radius * 0.76, low), (radius * 1.04, stem + bowl * 0.4), (radius * 1.02, high), (0, high)],
        )
        b.phrase("filled with wine")
    b.adjective("wide" if radius > 0.255 else "")


def _vase(b: Builder) -> None:
    height, belly = 1.0, b.uniform(0.22, 0.36)
    foot, neck = belly * b.uniform(0.5, 0.7), belly * b.uniform(0.35, 0.6)
    rim = neck * b.uniform(1.1, 1.6)
    bulge = b.uniform(0.32, 0.55)
    outer = [
        (foot, 0.0),
        (belly * 0.85, bulge * 0.5),
        (belly, bulge),
        (belly * 0.85, bulge + 0.13),
        (neck, 0.8),
        (rim, height),
    ]
    _hollow(b, "vase", outer, 0.05)
    if b.chance(0.4):
        b.rod("stems", (0, 0, 0.03), (0, 0, 0.78), 0.04)
        for i in range(5):
            turn = 2 * math.pi * i / 5 + 0.3
            out = 0.0 if i == 0 else b.uniform(0.2, 0.28)
            end = (
                out * math.cos(turn),
                out * math.sin(turn),
                height + b.uniform(0.3, 0.42) + (0.12 if i == 0 else 0.0),
            )
            b.rod("stems", (0, 0, 0.78), end, 0.028)
            b.ellipsoid("flowers", (0.13, 0.13, 0.1), end)
    b.adjective("round" if belly > 0.32 else "slim" if belly < 0.26 else "")


def _spoon(b: Builder) -> None:
    wide, tall = b.uniform(0.12, 0.15), b.uniform(0.18, 0.21)
    thick = 0.05
    b.ellipsoid("metal", (wide, thick, tall), (0, 0, 1 - tall))
    grip = "handle" if b.chance(0.4) else "metal"
    b.rod("metal", (0, 0, 0.4), (0, 0, 1 - 2 * tall + 0.06), 0.033)
    b.ellipsoid(grip, (b.uniform(0.055, 0.075), 0.045, 0.25), (0, 0, 0.25))


def _fork(b: Builder) -> None:
    count = b.choice((3, 3, 3, 4))
    tine = 0.042
    gap = 0.085 if count == 3 else 0.06
    wide = count * tine + (count - 1) * gap
    low = b.uniform(0.56, 0.62)
    palm = low + 0.11
    head = [
        (-0.035, low - 0.06),
        (0.035, low - 0.06),
        (wide / 2, low),
        (wide / 2, palm),
        (-wide / 2, palm),
        (-wide / 2, low),
    ]
    b.prism("metal", head, 0.05, rot=UPRIGHT_Y)
    for i in range(count):
        x = -wide / 2 + tine / 2 + i * (tine + gap)
        b.box("metal", (tine, 0.05, 1 - palm + 0.02), (x, 0, (1 + palm) / 2 - 0.01))
    grip = "handle" if b.chance(0.4) else "metal"
    b.rod("metal", (0, 0, 0.3), (0, 0, low), 0.035)
    b.ellipsoid(grip, (b.uniform(0.055, 0.075), 0.045, 0.25), (0, 0, 0.25))
    b.phrase("with three tines" if count == 3 else "with four tines")


def _knife(b: Builder) -> None:
    split = b.uniform(0.34, 0.42)
    wide = b.uniform(0.07, 0.11)
    blade = [(-0.05, split - 0.04), (wide, split - 0.04), (wide, 0.78), (wide * 0.6, 0.9), (-0.05, 1.0)]
    b.prism("blade", blade, 0.04, rot=UPRIGHT_Y)
    b.box("handle", (0.11, 0.075, split), (0.005, 0, split / 2))


def _plate(b: Builder) -> None:
    flat, rise = b.uniform(0.28, 0.36), b.uniform(0.05, 0.085)
    b.revolve("plate", [(0, 0), (flat, 0), (0.5, rise), (0.5, rise + 0.045), (flat, 0.05), (0, 0.05)])
    if b.chance(0.5):
        b.torus("rim", 0.485, 0.035, (0, 0, rise + 0.025))
        b.phrase("with a rim")
    b.adjective("round")


GLASS = ("light blue", "white", "grey", "green", "light green", "blue", "pink", "purple", "red", "yellow", "turquoise")

MUG = Family(
    "mug", "kitchen", ("mug", "cup", "coffee mug", "coffee cup"),
    (
        Slot("body", (*PAINT, "white")),
        Slot("handle", ("white", "black", "brown"), "a handle", 0.5),
        Slot("coffee", ("brown", "black")),
    ),
    _mug,
)  # fmt: skip
BOTTLE = Family(
    "bottle", "kitchen", ("bottle",),
    (
        Slot("glass", (*PAINT, "green", "dark green", "brown")),
        Slot("cap", ("red", "golden", "white", "black", "blue"), "a cap", 0.2),
        Slot("label", ("white", "beige", "yellow", "red"), "a label", 0.2),
    ),
    _bottle,
)  # fmt: skip
TEAPOT = Family(
    "teapot", "kitchen", ("teapot", "tea pot"),
    (
        Slot("body", (*PAINT, "white", "silver")),
        Slot("lid", ("white", "black", "golden", "brown"), "a lid", 0.3),
        Slot("handle", ("brown", "black", "golden", "white"), "a handle", 0.3),
    ),
    _teapot,
)  # fmt: skip
BOWL = Family(
    "bowl", "kitchen", ("bowl",),
    (
        Slot("body", (*PAINT, "white", "wooden")),
        Slot("soup", ("orange", "red", "yellow", "green")),
        Slot("fruit a", ("red", "orange", "yellow")),
        Slot("fruit b", ("green", "yellow", "orange", "red")),
    ),
    _bowl,
)  # fmt: skip
PAN = Family(
    "frying pan", "kitchen", ("frying pan", "pan", "skillet"),
    (
        Slot("pan", ("black", "dark grey", "grey", *PAINT)),
        Slot("handle", ("black", "brown", "wooden", "red"), "a handle", 0.2),
        Slot("egg white", ("white",)),
        Slot("yolk", ("yellow",)),
    ),
    _pan,
)  # fmt: skip
POT = Family(
    "pot", "kitchen", ("cooking pot", "pot", "stew pot"),
    (
        Slot("pot", (*METAL, *PAINT)),
        Slot("handles", ("black", "brown", "dark grey", "red"), "handles", 0.15),
        Slot("lid", (*METAL, "white", "red"), "a lid", 0.2),
    ),
    _pot,
)  # fmt: skip
WINE_GLASS = Family(
    "wine glass", "kitchen", ("wine glass", "glass", "goblet"),
    (Slot("glass", GLASS), Slot("wine", ("dark red", "dark red", "red", "yellow", "pink"))),
    _wine_glass,
)  # fmt: skip
VASE = Family(
    "vase", "kitchen", ("vase", "flower vase"),
    (Slot("vase", PAINT), Slot("flowers", FLOWER, "flowers", 0.1), Slot("stems", LEAF)),
    _vase,
)  # fmt: skip
SPOON = Family(
    "spoon", "kitchen", ("spoon",),
    (Slot("metal", (*METAL, "wooden", *PAINT)), Slot("handle", (*WOOD, "black", "white", "red"), "a handle", 0.3)),
    _spoon,
)  # fmt: skip
FORK = Family(
    "fork", "kitchen", ("fork",),
    (Slot("metal", (*METAL, "golden", *PAINT)), Slot("handle", (*WOOD, "black", "white", "red"), "a handle", 0.3)),
    _fork,
)  # fmt: skip
KNIFE = Family(
    "knife", "kitchen", ("knife", "kitchen knife"),
    (Slot("handle", (*DARK, *WOOD, *PAINT), "a handle"), Slot("blade", METAL, "a blade", 0.1)),
    _knife,
)  # fmt: skip
PLATE = Family(
    "plate", "kitchen", ("plate", "dinner plate"),
    (Slot("plate", (*PAINT, "white", "white")), Slot("rim", ("blue", "red", "golden", "green", "black"), "a rim", 0.2)),
    _plate,
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    MUG, BOTTLE, TEAPOT, BOWL, PAN, POT, WINE_GLASS, VASE, SPOON, FORK, KNIFE, PLATE,
)  # fmt: skip
