"""Furniture. Lengths are about meters; the side that one sits at or opens is the front, -y."""

from __future__ import annotations

import math

from enpointe.data.procedural.colors import DARK, METAL, PAINT, WOOD
from enpointe.data.procedural.family import Builder, Family, Slot

WOODEN_OR_METAL = (*WOOD, *WOOD, "black", "white", "grey", "silver")


def _legs(
    b: Builder, slot: str, size: tuple[float, float, float], radius: float, spread: float = 0.0, square: bool = False
) -> None:
    """Four legs under a top of `size` (width, depth, height), standing `spread` wider on the floor."""
    width, depth, height = size
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (width / 2 - radius), sy * (depth / 2 - radius)
            if square:
                b.box(slot, (2 * radius, 2 * radius, height), (x, y, height / 2))
            else:
                b.rod(slot, (x + sx * spread, y + sy * spread, 0), (x, y, height), radius)


def _pedestal(b: Builder, slot: str, height: float, radius: float, foot: float) -> None:
    """One column on a round foot."""
    b.cylinder(slot, foot, 0.05, (0, 0, 0.025), top=foot * 0.85)
    b.cylinder(slot, radius, height, (0, 0, height / 2))


def _chair(b: Builder) -> None:
    width, depth = b.uniform(0.42, 0.54), b.uniform(0.42, 0.52)
    seat, back = b.uniform(0.42, 0.5), b.uniform(0.42, 0.65)
    post = b.uniform(0.026, 0.036)
    thick = b.uniform(0.05, 0.08)
    frame = "seat" if b.chance(0.35) else "legs"
    _legs(b, frame, (width, depth, seat), post, b.choice((0.0, 0.0, 0.05)), b.chance(0.5))
    b.box("seat", (width, depth, thick), (0, 0, seat))
    rear, lean = depth / 2 - post, b.uniform(0.0, 0.1)
    style = b.choice(("panel", "slats", "bars"))
    if style == "panel":
        b.box("seat", (width, 0.06, back), (0, rear + lean / 2, seat + back / 2), (-math.degrees(lean / back), 0, 0))
    else:
        for sx in (-1, 1):
            x = sx * (width / 2 - post)
            b.rod("seat", (x, rear, seat), (x, rear + lean, seat + back), post)
        count = b.integer(2, 3)
        if style == "bars":
            b.box("seat", (width, 0.06, 0.1), (0, rear + lean, seat + back - 0.05))
            for i in range(count + 1):
                x = (width - 2 * post) * ((i + 1) / (count + 2) - 0.5)
                b.rod("seat", (x, rear, seat), (x, rear + lean, seat + back - 0.05), 0.022)
        else:
            for i in range(count):
                t = 1 - i * 0.8 / count
                height = back * 0.5 / count
                b.box("seat", (width - post, 0.05, height), (0, rear + lean * t, seat + back * t - height / 2))
        b.phrase("with a slatted back" if style == "slats" else "")
    if b.chance(0.2):
        for sx in (-1, 1):
            x = sx * (width / 2 - 0.01)
            b.box("seat", (0.06, depth * 0.95, 0.05), (x, 0, seat + 0.24))
            b.box("seat", (0.055, 0.055, 0.26), (x, -depth / 2 + 0.06, seat + 0.12))
        b.phrase("with armrests")
    b.adjective("tall" if back > 0.6 else "")


def _seating(b: Builder, width: float, cushions: int) -> None:
    """A padded seat with a back and two arms, over a number of seat cushions."""
    depth, seat = b.uniform(0.8, 0.95), b.uniform(0.38, 0.46)
    back, arm = b.uniform(0.78, 0.98), b.uniform(0.56, 0.68)
    foot, arm_width = b.uniform(0.07, 0.14), b.uniform(0.16, 0.24)
    for sx in (-1, 1):
        for y in (-depth / 2 + 0.09, depth / 2 - 0.09):
            b.box("feet", (0.09, 0.09, foot + 0.02), (sx * (width / 2 - 0.1), y, foot / 2))
    b.box("cover", (width - 0.04, depth - 0.02, seat - 0.12 - foot), (0, 0, (seat - 0.12 + foot) / 2))
    b.box("cover", (width - 0.06, 0.22, back - foot), (0, depth / 2 - 0.11, (back + foot) / 2))
    rounded = b.chance(0.5)
    for sx in (-1, 1):
        x = sx * (width - arm_width) / 2
        b.box("cover", (arm_width, depth, arm - foot), (x, 0, (arm + foot) / 2))
        if rounded:
            b.cylinder("cover", arm_width * 0.62, depth + 0.02, (x, 0, arm), (90, 0, 0))
    inner = width - 2 * arm_width
    soft = "cushions" if b.chance(0.3) else "cover"
    for i in range(cushions):
        x = inner * ((i + 0.5) / cushions - 0.5)
        b.box(soft, (inner / cushions - 0.03, depth - 0.2, 0.15), (x, -0.1, seat - 0.075))
        high, middle = back - seat - 0.06, (back + seat) / 2 - 0.02
        b.box(soft, (inner / cushions - 0.04, 0.16, high), (x, depth / 2 - 0.27, middle), (-10, 0, 0))


def _armchair(b: Builder) -> None:
    _seating(b, b.uniform(0.85, 1.05), 1)


def _sofa(b: Builder) -> None:
    cushions = b.integer(2, 3)
    _seating(b, b.uniform(1.55, 1.8) if cushions == 2 else b.uniform(1.9, 2.4), cushions)
    b.adjective("long" if cushions == 3 else "small")
    b.phrase(f"with {('two', 'three')[cushions - 2]} seats")


def _stool(b: Builder) -> None:
    height, width = b.uniform(0.42, 0.8), b.uniform(0.34, 0.42)
    radius = 0.024 + 0.02 * height
    frame = "seat" if b.chance(0.3) else "legs"
    if b.chance(0.7):
        b.cylinder("seat", width / 2, 0.08, (0, 0, height - 0.04))
        b.adjective("round")
    else:
        b.box("seat", (width, width, 0.08), (0, 0, height - 0.04))
        b.adjective("square")
    if b.chance(0.25):
        _pedestal(b, frame, height - 0.04, radius * 1.2, width * 0.48)
    else:
        count = b.choice((3, 4))
        spread = b.uniform(0.03, 0.1)
        turns = (45, 135, 225, 315) if count == 4 else (30, 150, 270)
        inner = width * 0.34
        for turn in turns:
            x, y = _polar(1, turn)
            reach = inner + spread
            b.rod(frame, (x * reach, y * reach, 0), (x * inner, y * inner, height - 0.05), radius)
        if height > 0.6:
            b.torus(frame, inner + spread * 0.65, 0.024, (0, 0, height * 0.35))
        b.phrase(f"with {'three' if count == 3 else 'four'} legs")
    b.adjective("tall" if height > 0.68 else "low" if height < 0.48 else "")


def _polar(radius: float, degrees: float) -> tuple[float, float]:
    turn = math.radians(degrees)
    return radius * math.cos(turn), radius * math.sin(turn)


def _table(b: Builder) -> None:
    height, thick = b.uniform(0.42, 0.8), b.uniform(0.06, 0.09)
    frame = "top" if b.chance(0.4) else "legs"
    shape = b.choice(("round", "rectangular", "rectangular", "square"))
    under = height - thick / 2
    if shape == "round":
        radius = b.uniform(0.45, 0.65)
        b.cylinder("top", radius, thick, (0, 0, under))
        if b.chance(0.5):
            _pedestal(b, frame, under, b.uniform(0.05, 0.09), radius * 0.6)
            b.phrase("with one leg")
        else:
            _legs(b, frame, (radius * 1.3, radius * 1.3, under), 0.045, b.choice((0.0, 0.06)))
            b.phrase("with four legs")
    else:
        width = b.uniform(1.1, 1.7) if shape == "rectangular" else b.uniform(0.75, 1.0)
        depth = b.uniform(0.65, 0.85) if shape == "rectangular" else width
        leg = 0.028 + 0.018 * width
        b.box("top", (width, depth, thick), (0, 0, under))
        _legs(b, frame, (width - 0.06, depth - 0.06, under), leg, 0.0, b.chance(0.6))
        b.phrase("with four legs")
    b.adjective(shape)
    b.adjective("low" if height < 0.5 else "")


def _desk(b: Builder) -> None:
    width, depth, height = b.uniform(1.1, 1.5), b.uniform(0.55, 0.7), b.uniform(0.72, 0.8)
    b.box("body", (width, depth, 0.06), (0, 0, height - 0.03))
    chest = b.uniform(0.34, 0.42)
    both = b.chance(0.4)
    for side in (-1, 1) if both else (1,):
        x = side * (width / 2 - chest / 2 - 0.02)
        b.box("body", (chest, depth - 0.04, height - 0.05), (x, 0, (height - 0.05) / 2))
        for i in range(3):
            z = 0.05 + (height - 0.13) * (i + 0.5) / 3
            b.box("drawers", (chest - 0.08, 0.05, (height - 0.13) / 3 - 0.05), (x, -depth / 2 + 0.02, z))
            b.ball("knobs", 0.035, (x, -depth / 2 - 0.015, z))
    if not both:
        for y in (-depth / 2 + 0.06, depth / 2 - 0.06):
            b.box("body", (0.08, 0.08, height), (-width / 2 + 0.06, y, height / 2 - 0.01))
    b.phrase("with drawers")


def _bed(b: Builder) -> None:
    wide = b.chance(0.5)
    width = b.uniform(1.4, 1.8) if wide else b.uniform(0.9, 1.1)
    length, top = b.uniform(2.0, 2.15), b.uniform(0.45, 0.6)
    head = top + b.uniform(0.25, 0.6)
    frame = "cover" if b.chance(0.45) else "frame"
    b.box(frame, (width, length, 0.18), (0, 0, top - 0.27))
    b.box(frame, (width + 0.06, 0.1, head), (0, length / 2, head / 2))
    foot = b.choice((0.0, top + b.uniform(0.05, 0.15)))
    if foot:
        b.box(frame, (width + 0.06, 0.1, foot), (0, -length / 2, foot / 2))
    else:
        for sx in (-1, 1):
            b.box(frame, (0.1, 0.1, top - 0.2), (sx * (width / 2 - 0.06), -length / 2 + 0.06, top / 2 - 0.1))
    b.box("sheets", (width - 0.04, length - 0.06, 0.2), (0, 0, top - 0.1))
    fold = b.uniform(0.66, 0.76) * length
    b.box("cover", (width + 0.04, fold, 0.22), (0, (fold - length) / 2 + 0.06, top - 0.06))
    for sx in (-1, 1) if wide else (0,):
        b.ellipsoid("pillows", (min(width * 0.21, 0.34) if wide else width * 0.36, 0.22, 0.11),
                    (sx * width * 0.24, length / 2 - 0.3, top + 0.05))  # fmt: skip
    b.adjective("double" if wide else "single")
    b.phrase("with two pillows" if wide else "with a pillow")


def _lamp(b: Builder) -> None:
    floor = b.chance(0.45)
    height = b.uniform(1.4, 1.7) if floor else b.uniform(0.5, 0.7)
    shade = height * (b.uniform(0.24, 0.3) if floor else b.uniform(0.38, 0.48))
    wide = shade * b.uniform(0.5, 0.62)
    narrow = wide * b.choice((0.45, 0.6, 0.75, 1.0))
    foot = wide * b.uniform(0.7, 0.9)
    pole = height * b.uniform(0.022, 0.028)
    slab = height * 0.045
    b.cylinder("stand", foot, slab, (0, 0, slab / 2), top=foot * b.uniform(0.7, 1.0))
    b.rod("stand", (0, 0, 0), (0, 0, height - shade * 0.5), pole)
    if not floor and b.chance(0.6):
        belly = (height - shade) * 0.42
        b.ellipsoid("stand", (belly * b.uniform(0.6, 0.85), belly * 0.7, belly), (0, 0, slab + belly * 0.85))
    b.cylinder("shade", wide, shade, (0, 0, height - shade / 2), top=narrow)
    b.adjective("tall" if floor else "small")


def _bookshelf(b: Builder) -> None:
    width, depth, height = b.uniform(0.8, 1.1), b.uniform(0.3, 0.4), b.uniform(1.2, 2.0)
    wall = 0.03 + 0.02 * height
    rows = 3 if height < 1.45 else 4 if height < 1.75 else 5
    for sx in (-1, 1):
        b.box("wood", (wall, depth, height), (sx * (width - wall) / 2, 0, height / 2))
    b.box("wood", (width, 0.05, height), (0, depth / 2 - 0.025, height / 2))
    step = (height - wall) / rows
    for i in range(rows + 1):
        b.box("wood", (width, depth - 0.01, wall), (0, 0, wall / 2 + i * step))
    if b.chance(0.2):
        b.adjective("empty")
    else:
        _books(b, width - 2 * wall, depth, wall, step, rows)
        b.phrase("full of books")
    b.adjective("tall" if height > 1.75 else "low" if height < 1.4 else "")


def _books(b: Builder, width: float, depth: float, wall: float, step: float, rows: int) -> None:
    """Blocks of books of three colors along every shelf, each about as high as the shelf allows."""
    for i in range(rows):
        x = -width / 2
        slots = b.rng.permutation(3)
        for k in range(4):
            block = width * b.uniform(0.19, 0.26)
            tall = (step - wall) * b.uniform(0.6, 0.88)
            slot = ("books a", "books b", "books c")[slots[k % 3]]
            b.box(slot, (block, depth * 0.7, tall), (x + block / 2, -0.01, wall + i * step + tall / 2 - 0.005))
            x += block
            if x > width * 0.28:
                break


def _wardrobe(b: Builder) -> None:
    width, depth, height = b.uniform(0.9, 1.3), b.uniform(0.5, 0.65), b.uniform(1.7, 2.1)
    foot = b.uniform(0.08, 0.14)
    b.box("body", (width, depth, height - foot), (0, 0, (height + foot) / 2))
    b.box("body", (width + 0.12, depth + 0.12, 0.1), (0, 0, height))
    _legs(b, "body", (width, depth, foot + 0.02), 0.06, 0.0, True)
    for sx in (-1, 1):
        b.box(
            "doors", (width / 2 - 0.07, 0.08, height - foot - 0.16), (sx * width / 4, -depth / 2, (height + foot) / 2)
        )
        b.box("handles", (0.07, 0.09, 0.26), (sx * 0.1, -depth / 2 - 0.05, (height + foot) / 2))
    b.phrase("with two doors")


def _bench(b: Builder) -> None:
    width, depth, seat = b.uniform(1.3, 1.9), b.uniform(0.42, 0.52), b.uniform(0.42, 0.5)
    for i in range(3):
        b.box("planks", (width, depth / 3 - 0.03, 0.07), (0, depth * ((i + 0.5) / 3 - 0.5), seat))
    for sx in (-1, 1):
        x = sx * width * 0.4
        b.box("frame", (0.09, depth, 0.08), (x, 0, seat - 0.06))
        for y in (-depth / 2 + 0.05, depth / 2 - 0.05):
            b.box("frame", (0.09, 0.09, seat), (x, y, seat / 2))
    if b.chance(0.75):
        back = b.uniform(0.36, 0.46)
        for sx in (-1, 1):
            x = sx * width * 0.4
            b.rod("frame", (x, depth / 2 - 0.02, seat - 0.05), (x, depth / 2 + 0.1, seat + back), 0.045)
        for i in range(2):
            t = 0.5 + 0.42 * i
            b.box("planks", (width, 0.06, 0.14), (0, depth / 2 - 0.05 + 0.12 * t, seat + back * t), (-14, 0, 0))
        b.phrase("with a backrest")
    b.adjective("long" if width > 1.7 else "")


CHAIR = Family(
    "chair", "furniture", ("chair", "seat"),
    (Slot("seat", (*PAINT, *WOOD, *WOOD)), Slot("legs", WOODEN_OR_METAL, "legs", 0.2)),
    _chair,
)  # fmt: skip
ARMCHAIR = Family(
    "armchair", "furniture", ("armchair", "easy chair", "lounge chair"),
    (Slot("cover", PAINT), Slot("cushions", ("white", "beige", "grey"), "cushions", 0.3), Slot("feet", (*WOOD, *DARK))),
    _armchair,
)  # fmt: skip
SOFA = Family(
    "sofa", "furniture", ("sofa", "couch", "settee"),
    (Slot("cover", PAINT), Slot("cushions", ("white", "beige", "grey"), "cushions", 0.3), Slot("feet", (*WOOD, *DARK))),
    _sofa,
)  # fmt: skip
STOOL = Family(
    "stool", "furniture", ("stool", "bar stool"),
    (Slot("seat", (*PAINT, *WOOD, *WOOD)), Slot("legs", WOODEN_OR_METAL, "legs", 0.2)),
    _stool,
)  # fmt: skip
TABLE = Family(
    "table", "furniture", ("table",),
    (Slot("top", (*PAINT, *WOOD, *WOOD, *WOOD)), Slot("legs", WOODEN_OR_METAL, "legs", 0.2)),
    _table,
)  # fmt: skip
DESK = Family(
    "desk", "furniture", ("desk", "writing desk", "office desk"),
    (
        Slot("body", (*PAINT, *WOOD, *WOOD, *WOOD)),
        Slot("drawers", (*WOOD, "white", "beige", "grey"), "drawers", 0.2),
        Slot("knobs", (*METAL, "black", "golden")),
    ),
    _desk,
)  # fmt: skip
BED = Family(
    "bed", "furniture", ("bed",),
    (
        Slot("cover", PAINT),
        Slot("frame", (*WOOD, *WOOD, "white", "black", "grey"), "a frame", 0.15),
        Slot("sheets", ("white", "beige")),
        Slot("pillows", ("white",), "pillows", 0.2),
    ),
    _bed,
)  # fmt: skip
LAMP = Family(
    "lamp", "furniture", ("lamp", "light"),
    (
        Slot("shade", (*PAINT, "yellow", "white", "beige")),
        Slot("stand", (*WOOD, *METAL, "black", "golden", "white"), "a stand", 0.2),
    ),
    _lamp,
)  # fmt: skip
BOOKSHELF = Family(
    "bookshelf", "furniture", ("bookshelf", "bookcase", "shelf"),
    (
        Slot("wood", (*PAINT, *WOOD, *WOOD, *WOOD, *WOOD)),
        Slot("books a", ("red", "dark red", "orange", "yellow")),
        Slot("books b", ("blue", "dark blue", "light blue", "purple")),
        Slot("books c", ("green", "dark green", "white", "beige", "black")),
    ),
    _bookshelf,
)  # fmt: skip
WARDROBE = Family(
    "wardrobe", "furniture", ("wardrobe", "closet", "cupboard"),
    (
        Slot("body", (*PAINT, *WOOD, *WOOD, *WOOD)),
        Slot("doors", (*WOOD, "white", "beige", "grey"), "doors", 0.2),
        Slot("handles", (*METAL, "black", "golden")),
    ),
    _wardrobe,
)  # fmt: skip
BENCH = Family(
    "bench", "furniture", ("bench", "park bench"),
    (Slot("planks", (*PAINT, *WOOD, *WOOD, *WOOD)), Slot("frame", (*DARK, *METAL, "brown"), "legs", 0.15)),
    _bench,
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    CHAIR, ARMCHAIR, SOFA, STOOL, TABLE, DESK, BED, LAMP, BOOKSHELF, WARDROBE, BENCH,
)  # fmt: skip
