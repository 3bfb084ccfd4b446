"""Tools and other things held in the hand; the longest side is about 1.

Long ones stand upright: with the working end up as a rule, with it down for the screwdriver, the key,
the broom and the pencil. Only the saw lies, its teeth down and its handle to the right.
"""

from __future__ import annotations

import math

from enpointe.data.procedural.colors import DARK, METAL, PAINT, WOOD
from enpointe.data.procedural.family import UPRIGHT_Y, Builder, Family, Slot

GRIP = (*PAINT, *WOOD, *WOOD, *WOOD)
"""Colors of a handle that gives its tool the color."""


def _hammer(b: Builder) -> None:
    radius, reach = b.uniform(0.04, 0.055), b.uniform(0.2, 0.27)
    head = "handle" if b.chance(0.25) else "head"
    thick = b.uniform(0.07, 0.09)
    z = 1 - thick
    b.rod("handle", (0, 0, 0), (0, 0, z), radius, radius * 0.85)
    b.box(head, (0.2, 1.7 * thick, 1.7 * thick), (0, 0, z))
    b.rod(head, (-0.08, 0, z), (-reach, 0, z), thick * 0.75)
    b.rod(head, (-reach + 0.08, 0, z), (-reach, 0, z), thick * 1.15)
    if b.chance(0.65):
        for side in (-1, 1):
            points = [(0.06, side * 0.02, z + 0.02), (0.18, side * 0.05, z), (reach + 0.04, side * 0.07, z - 0.1)]
            b.path(head, points, 0.035)
        b.adjective("claw")
    else:
        b.rod(head, (0.08, 0, z), (reach, 0, z), thick * 1.1)


def _mallet(b: Builder) -> None:
    long, thick = b.uniform(0.4, 0.55), b.uniform(0.2, 0.27)
    z = 1 - thick / 2
    head = "handle" if b.chance(0.2) else "head"
    b.rod("handle", (0, 0, 0), (0, 0, z), b.uniform(0.04, 0.05))
    if b.chance(0.5):
        b.box(head, (long, thick, thick), (0, 0, z))
    else:
        b.cylinder(head, thick / 2, long, (0, 0, z), (0, 90, 0))


def _screwdriver(b: Builder) -> None:
    split, thick = b.uniform(0.5, 0.6), b.uniform(0.085, 0.11)
    low, high = split, 1.0
    b.revolve(
        "handle",
        [
            (0, low),
            (thick * 0.6, low),
            (thick * 0.65, low + 0.05),
            (thick, low + 0.12),
            (thick, high - 0.06),
            (thick * 0.7, high),
            (0, high),
        ],
    )
    for i in range(6):
        turn = math.pi * i / 3
        x, y = thick * math.cos(turn), thick * math.sin(turn)
        b.limb("handle", (x, y, low + 0.14), (x, y, high - 0.09), 0.022)
    b.rod("shaft", (0, 0, 0.08), (0, 0, low + 0.02), 0.035)
    b.prism(
        "shaft",
        [(-0.03, 0.0), (0.03, 0.0), (0.045, 0.06), (0.03, 0.14), (-0.03, 0.14), (-0.045, 0.06)],
        0.04,
        rot=UPRIGHT_Y,
    )


def _axe(b: Builder) -> None:
    radius = b.uniform(0.036, 0.048)
    head = "handle" if b.chance(0.2) else "head"
    top, low, reach = 0.97, b.uniform(0.56, 0.64), b.uniform(0.3, 0.38)
    b.rod("handle", (0, 0, 0), (0, 0, 1), radius)
    middle = (top + low) / 2
    edge = [(-reach, top), (-reach - 0.03, middle), (-reach, low)]
    waist = b.uniform(0.06, 0.09)
    blade = [*edge, (-0.1, middle - waist), (0.02, middle - waist), (0.02, middle + waist), (-0.1, middle + waist)]
    b.prism(head, blade, 0.06, rot=UPRIGHT_Y)
    if b.chance(0.25):
        b.prism(head, [(-x, z) for x, z in blade], 0.06, rot=UPRIGHT_Y)
        b.adjective("double-bladed")
    else:
        b.box(head, (0.18, 0.11, 2 * waist), (0.03, 0, middle))


def _saw(b: Builder) -> None:
    tall, tip = b.uniform(0.2, 0.26), b.uniform(0.07, 0.11)
    count = b.integer(9, 11)
    start, end = -0.5, 0.22
    pitch = (end - start) / count
    teeth: list[tuple[float, float]] = []
    for i in range(count):
        teeth += [(start + i * pitch, 0.05), (start + (i + 0.5) * pitch, 0.0)]
    b.prism("blade", [*teeth, (end, 0.05), (end, tall), (start, 0.05 + tip)], 0.035, rot=UPRIGHT_Y)
    thick = b.uniform(0.038, 0.046)
    loop = [
        (0.2, 0.04),
        (0.25, tall + 0.05),
        (0.42, tall + 0.09),
        (0.5, tall),
        (0.45, 0.08),
        (0.36, 0.035),
        (0.2, 0.04),
    ]
    b.path("handle", [(x, 0.0, z + 0.01) for x, z in loop], thick)
    b.box("handle", (0.1, 0.075, tall * 0.9), (0.2, 0, tall * 0.5 + 0.02))


def _umbrella(b: Builder) -> None:
    radius, rise = b.uniform(0.42, 0.5), b.uniform(0.2, 0.3)
    top, wall = 0.94, 0.045
    arc = [math.pi / 2 * i / 6 for i in range(7)]
    outer = [(radius * math.cos(t), top - rise + rise * math.sin(t)) for t in arc]
    inner = [(max(r - wall, 0.0), z - wall * 0.8) for r, z in outer]
    b.revolve("canopy", [*outer[:-1], (0, top), (0, top - wall * 0.8), *inner[-2::-1]])
    shaft = b.uniform(0.022, 0.028)
    low = 0.1
    b.rod("handle", (0, 0, low), (0, 0, 1), shaft)
    hook = b.uniform(0.065, 0.085)
    bow = [(hook - hook * math.cos(t), 0.0, low - hook * math.sin(t)) for t in (math.pi * i / 5 for i in range(6))]
    b.path("handle", [(0, 0, low + 0.1), *bow], 0.036)
    if b.chance(0.5):
        # Ribs of another color over the canopy.
        for i in range(3):
            turn = math.radians(60 * i)
            rib = [
                (side * r * math.cos(turn), side * r * math.sin(turn), z + 0.002)
                for side, part in ((-1, outer[::2]), (1, outer[-3::-2]))
                for r, z in part
            ]
            b.path("ribs", rib, 0.022)
    b.adjective("open")


def _sword(b: Builder) -> None:
    grip, wide = b.uniform(0.17, 0.24), b.uniform(0.04, 0.065)
    guard = b.uniform(0.16, 0.24)
    z = 0.06 + grip
    b.prism("blade", [(-wide, z), (wide, z), (wide * 0.85, 0.86), (0, 1), (-wide * 0.85, 0.86)], 0.042, rot=UPRIGHT_Y)
    b.rod("handle", (0, 0, 0.05), (0, 0, z), 0.036)
    hilt = b.choice(("handle", "guard"))
    b.ball(hilt, b.uniform(0.05, 0.065), (0, 0, 0.055))
    droop = b.choice((0.0, 0.05, -0.04))
    b.path(hilt, [(-guard, 0, z + droop), (0, 0, z), (guard, 0, z + droop)], 0.036)
    b.adjective("long" if wide < 0.047 else "broad" if wide > 0.058 else "")


def _key(b: Builder) -> None:
    ring, tube = b.uniform(0.14, 0.19), b.uniform(0.04, 0.055)
    z = 1 - ring - tube
    if b.chance(0.6):
        b.torus("metal", ring, tube, (0, 0, z), (90, 0, 0))
    else:
        for turn in (90, 210, 330):
            x, up = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            b.torus("metal", ring * 0.55, tube * 0.9, (0.62 * ring * x, 0, z - 0.02 + 0.62 * ring * up), (90, 0, 0))
    shaft = b.uniform(0.04, 0.05)
    b.rod("metal", (0, 0, 0), (0, 0, z - ring * 0.8), shaft)
    b.torus("metal", shaft * 1.2, 0.03, (0, 0, z - ring - tube - 0.04))
    reach = b.uniform(0.16, 0.2)
    for i in range(b.integer(2, 3)):
        b.box("metal", (reach * (1 if i % 2 == 0 else 0.75), 0.065, 0.06), (reach / 2, 0, 0.05 + 0.115 * i))


def _ladder(b: Builder) -> None:
    wide, rungs = b.uniform(0.32, 0.42), b.integer(4, 6)
    rail = b.uniform(0.026, 0.032)
    folding = b.chance(0.35)
    lean, top_wide = (b.uniform(0.22, 0.28), wide * 0.7) if folding else (0.0, wide)
    step = "rungs" if b.chance(0.35) else "rails"
    if folding:
        rungs = 5
        b.box("rails", (top_wide + 0.1, 0.14, 0.05), (0, 0, 0.98))
        b.box("rails", (wide * 0.95, 0.045, 0.045), (0, lean * 0.8, 0.2))
        b.adjective("folding")
    for side in (-1, 1):
        foot, head = side * wide / 2, side * top_wide / 2
        if folding:
            b.rod("rails", (foot, -lean, 0), (head, 0, 0.99), rail)
            b.rod("rails", (foot, lean, 0), (head, 0, 0.99), rail)
        else:
            b.box("rails", (0.05, 0.06, 1), (foot, 0, 0.5))
    for i in range(rungs):
        t = (i + 0.6) / (rungs + 0.2)
        half = (wide + (top_wide - wide) * t) / 2
        y = -lean * (1 - t)
        if folding:
            b.box(step, (2 * half, 0.1, 0.045), (0, y, t))
        else:
            b.rod(step, (-half, y, t), (half, y, t), 0.024)


def _wrench(b: Builder) -> None:
    wide, head = b.uniform(0.045, 0.06), b.uniform(0.14, 0.17)
    z = 1 - head
    b.box("metal", (2 * wide, 0.07, z - 0.2), (0, 0, z / 2 + 0.1))
    mouth = head * 0.45
    jaw = [(mouth, z + head * 0.95), (mouth, z + head * 0.1), (-mouth, z + head * 0.1), (-mouth, z + head * 0.95)]
    around = [math.radians(100 + 35 + i * 27) for i in range(11)]
    outline = [
        (head * math.cos(t), z + head * math.sin(t)) for t in around if -0.75 < math.cos(t) < 0.75 or math.sin(t) < 0.7
    ]
    b.prism("metal", [*jaw[2:], *outline, *jaw[:2]], 0.09, rot=UPRIGHT_Y)
    b.torus("metal", 0.1, 0.045, (0, 0, 0.145), (90, 0, 0))


def _shovel(b: Builder) -> None:
    wide, tall = b.uniform(0.13, 0.16), b.uniform(0.3, 0.36)
    low = 1 - tall
    blade = [
        (-wide, low),
        (wide, low),
        (wide, low + tall * 0.55),
        (wide * 0.5, 0.95),
        (0, 1),
        (-wide * 0.5, 0.95),
        (-wide, low + tall * 0.55),
    ]
    b.prism("blade", blade, 0.045, rot=UPRIGHT_Y)
    b.rod("handle", (0, 0, 0.04), (0, 0, low + 0.08), b.uniform(0.03, 0.036))
    b.limb("handle", (-0.1, 0, 0.04), (0.1, 0, 0.04), 0.036)


def _scissors(b: Builder) -> None:
    spread, cross = b.uniform(0.14, 0.2), b.uniform(0.42, 0.5)
    ring = b.uniform(0.1, 0.12)
    for side in (-1, 1):
        tip = side * spread
        slope = tip / (1 - cross)
        foot = -slope * (cross - 0.22) * 1.1
        y = 0.018 * side
        outline = [(foot * 0.6 - 0.035, 0.25), (foot * 0.6 + 0.035, 0.25), (0.055, cross)]
        outline += [(tip + 0.012, 1), (tip - 0.012, 1), (-0.055, cross)]
        b.prism("blades", outline, 0.042, (0, y, 0), UPRIGHT_Y)
        b.torus("handles", ring, 0.036, (-side * (ring + 0.03), y, ring + 0.05), (90, 0, 0))
    b.cylinder("blades", 0.035, 0.1, (0, 0, cross), (90, 0, 0))
    b.adjective("open")


def _broom(b: Builder) -> None:
    wide, tall = b.uniform(0.14, 0.2), b.uniform(0.24, 0.32)
    b.prism("bristles", [(-wide, 0), (wide, 0), (0.07, tall), (-0.07, tall)], 0.12, rot=UPRIGHT_Y)
    b.box("band", (0.17, 0.14, 0.07), (0, 0, tall - 0.01))
    b.rod("handle", (0, 0, tall - 0.03), (0, 0, 1), b.uniform(0.026, 0.032))


def _pencil(b: Builder) -> None:
    radius, cone = b.uniform(0.05, 0.07), b.uniform(0.14, 0.18)
    # Six sides, tip down.
    hexagon = [(radius * math.cos(math.radians(60 * i)), radius * math.sin(math.radians(60 * i))) for i in range(6)]
    b.prism("body", hexagon, 0.9 - cone, (0, 0, (cone + 0.9) / 2))
    b.cylinder("wood", 0.022, cone - 0.04, (0, 0, cone / 2 + 0.02), top=radius * 0.97)
    b.cylinder("tip", 0.004, 0.06, (0, 0, 0.03), top=0.026)
    b.cylinder("band", radius, 0.06, (0, 0, 0.9))
    b.cylinder("rubber", radius * 0.95, 0.08, (0, 0, 0.96))


HANDLED = ("metal", "silver", "grey", "dark grey", "black")

HAMMER = Family(
    "hammer", "tools", ("hammer",),
    (Slot("handle", GRIP, "a handle"), Slot("head", HANDLED, "a head", 0.1)),
    _hammer,
)  # fmt: skip
MALLET = Family(
    "mallet", "tools", ("mallet", "sledgehammer"),
    (Slot("handle", GRIP, "a handle"), Slot("head", (*HANDLED, *WOOD), "a head", 0.15)),
    _mallet,
)  # fmt: skip
SCREWDRIVER = Family(
    "screwdriver", "tools", ("screwdriver",),
    (Slot("handle", PAINT, "a handle"), Slot("shaft", HANDLED)),
    _screwdriver,
)  # fmt: skip
AXE = Family(
    "axe", "tools", ("axe", "ax", "hatchet"),
    (Slot("handle", GRIP, "a handle"), Slot("head", (*HANDLED, "red"), "a blade", 0.1)),
    _axe,
)  # fmt: skip
SAW = Family(
    "saw", "tools", ("saw", "handsaw", "hand saw"),
    (Slot("handle", GRIP, "a handle"), Slot("blade", METAL, "a blade", 0.1)),
    _saw,
)  # fmt: skip
UMBRELLA = Family(
    "umbrella", "tools", ("umbrella", "parasol"),
    (
        Slot("canopy", PAINT),
        Slot("handle", (*DARK, *WOOD, "white"), "a handle", 0.15),
        Slot("ribs", ("white", "black", "yellow"), "stripes", 0.2),
    ),
    _umbrella,
)  # fmt: skip
SWORD = Family(
    "sword", "tools", ("sword", "longsword"),
    (
        Slot("blade", (*METAL, *METAL, *METAL, "golden", *PAINT)),
        Slot("handle", ("brown", "black", "dark red", "dark blue", "golden"), "a handle", 0.2),
        Slot("guard", ("golden", "golden", "dark grey", "brown")),
    ),
    _sword,
)  # fmt: skip
KEY = Family(
    "key", "tools", ("key",),
    (Slot("metal", (*METAL, "golden", "golden", "golden", *PAINT)),),
    _key,
)  # fmt: skip
LADDER = Family(
    "ladder", "tools", ("ladder",),
    (Slot("rails", (*METAL, *WOOD, *WOOD, *PAINT)), Slot("rungs", (*WOOD, "silver", "white", "black"), "rungs", 0.3)),
    _ladder,
)  # fmt: skip
WRENCH = Family(
    "wrench", "tools", ("wrench", "spanner"),
    (Slot("metal", (*METAL, *METAL, *PAINT)),),
    _wrench,
)  # fmt: skip
SHOVEL = Family(
    "shovel", "tools", ("shovel", "spade"),
    (Slot("blade", (*METAL, *PAINT)), Slot("handle", (*WOOD, *WOOD, "black", "red"), "a handle", 0.25)),
    _shovel,
)  # fmt: skip
SCISSORS = Family(
    "scissors", "tools", ("scissors", "pair of scissors"),
    (Slot("handles", PAINT, "handles"), Slot("blades", METAL)),
    _scissors,
)  # fmt: skip
BROOM = Family(
    "broom", "tools", ("broom",),
    (
        Slot("bristles", ("yellow", "beige", "golden", "brown", *PAINT), "bristles"),
        Slot("handle", (*WOOD, *WOOD, "red", "blue", "black", "white"), "a handle", 0.25),
        Slot("band", ("red", "black", "dark grey", "white")),
    ),
    _broom,
)  # fmt: skip
PENCIL = Family(
    "pencil", "tools", ("pencil",),
    (
        Slot("body", (*PAINT, "yellow", "yellow")),
        Slot("wood", ("beige", "wooden")),
        Slot("tip", DARK),
        Slot("band", ("silver", "golden")),
        Slot("rubber", ("pink", "pink", "white"), "an eraser", 0.1),
    ),
    _pencil,
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    HAMMER, MALLET, SCREWDRIVER, AXE, SAW, UMBRELLA, SWORD, KEY, LADDER, WRENCH, SHOVEL, SCISSORS, BROOM, PENCIL,
)  # fmt: skip
