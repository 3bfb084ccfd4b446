"""Buildings. The front, with the door, faces -y."""

from __future__ import annotations

from math import cos, pi, sin

from enpointe.data.procedural.colors import PAINT
from enpointe.data.procedural.family import UPRIGHT_X, UPRIGHT_Y, Builder, Family, Slot

WALLS = ("white", "beige", "yellow", "brick", "light blue", "stone", "pink", "red", "wooden")
ROOF = ("red", "brick", "brown", "dark grey", "dark red", "grey", "dark blue")
STONE = ("stone", "stone", "grey", "beige", "dark grey")
GLASS = ("light blue", "dark blue", "black")
DOOR = ("brown", "wooden", "red", "green", "blue")


def _gable(
    b: Builder,
    wide: float,
    deep: float,
    wall: float,
    roof: float,
    ridge: tuple[float, float, float],
    at: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Walls with a pitched roof; `ridge` is UPRIGHT_X or UPRIGHT_Y, the plane that the gables lie in."""
    span, run = (wide, deep) if ridge == UPRIGHT_Y else (deep, wide)
    h, eave, thick = span / 2, span * 0.1, max(0.07, roof * 0.14)
    drop = eave * roof / h
    b.prism("walls", [(-h, 0), (h, 0), (h, wall), (0, wall + roof), (-h, wall)], run, (*at, 0), ridge)
    tent = [(-h - eave, wall - drop), (0, wall + roof), (h + eave, wall - drop)]
    tent += [(u, v + thick * 1.5) for u, v in reversed(tent)]
    b.prism("roof", tent, run * 1.12, (*at, 0), ridge)


def _opening(b: Builder, slot: str, x: float, y: float, low: float, wide: float, tall: float) -> None:
    """A door or a window in a wall whose face is at `y`, a little proud of it."""
    b.box(slot, (wide, 0.08, tall), (x, y, low + tall / 2))


def _house(b: Builder) -> None:
    wide, deep = b.uniform(1.1, 1.7), b.uniform(0.95, 1.3)
    floors = 2 if b.chance(0.35) else 1
    wall, roof = b.uniform(0.62, 0.8) * (1.7 if floors == 2 else 1), b.uniform(0.4, 0.75)
    front, flat = -deep / 2, b.chance(0.12)
    if flat:
        b.box("walls", (wide, deep, wall), (0, 0, wall / 2))
        b.box("roof", (wide * 1.12, deep * 1.12, 0.12), (0, 0, wall + 0.04))
        b.phrase("with a flat roof")
    else:
        _gable(b, wide, deep, wall, roof, b.choice((UPRIGHT_X, UPRIGHT_Y)))
    place = b.choice((0.0, 0.0, -0.28, 0.28)) * wide
    _opening(b, "door", place, front, 0, 0.24, 0.44)
    size = b.uniform(0.2, 0.26)
    for x in (-0.3, 0.0, 0.3):
        if abs(x * wide - place) > 0.3:
            _opening(b, "windows", x * wide, front, 0.28, size, size)
        if floors == 2:
            _opening(b, "windows", x * wide, front, wall * 0.62, size, size)
    for side in (-1, 1):
        for y in (-0.22, 0.22):
            for low in (0.28, wall * 0.62)[:floors]:
                b.box("windows", (0.08, size, size), (side * wide / 2, y * deep, low + size / 2))
    if not flat and b.chance(0.6):
        b.box("chimney", (0.17, 0.17, roof + 0.3), (0.25 * wide, 0.22 * deep, wall + roof / 2 + 0.22))
        b.phrase("with a chimney")
    if floors == 2:
        b.adjective("two-storey" if b.chance(0.5) else "tall")
    elif wide < 1.3:
        b.adjective("small")


def _merlons(b: Builder, x: float, y: float, z: float, radius: float) -> None:
    """Four teeth on top of a round tower: two crossed bars and a hole between them."""
    size = radius * 0.6
    b.box("walls", (radius * 2.2, size, size * 1.3), (x, y, z))
    b.box("walls", (size, radius * 2.2, size * 1.3), (x, y, z))


def _castle(b: Builder) -> None:
    half, wall = b.uniform(0.52, 0.68), b.uniform(0.4, 0.52)
    tower, high = b.uniform(0.19, 0.24), b.uniform(0.95, 1.2)
    pointed = b.chance(0.7)
    b.box("walls", (2 * half, 2 * half, wall), (0, 0, wall / 2))
    for side in (-1, 1):
        b.box("walls", (half * 0.22, 2 * half + 0.1, 0.22), (side * half * 0.5, 0, wall))
        b.box("walls", (2 * half + 0.1, half * 0.22, 0.22), (0, side * half * 0.5, wall))
        for y in (-half, half):
            x = side * half
            b.cylinder("walls", tower, high, (x, y, high / 2))
            if pointed:
                b.cylinder("roof", tower * 1.35, tower * 2.4, (x, y, high + tower * 1.15), top=0)
            else:
                b.cylinder("walls", tower * 1.2, 0.14, (x, y, high - 0.05))
                _merlons(b, x, y, high + 0.07, tower * 1.15)
    gate = wall * 1.35
    b.box("walls", (0.5, 0.26, gate), (0, -half, gate / 2))
    b.box("gate", (0.28, 0.36, gate * 0.62), (0, -half, gate * 0.31))
    keep, top = half * b.uniform(0.36, 0.46), high * b.uniform(1.15, 1.4)
    b.box("walls", (2 * keep, 2 * keep, top), (0, 0.12, top / 2))
    if pointed:
        b.cylinder("roof", keep * 1.3, keep * 2, (0, 0.12, top + keep * 0.98), top=0)
        b.phrase("with pointed roofs")
    else:
        for place in (-0.8, 0, 0.8):
            b.box("walls", (keep * 0.42, keep * 2.1, 0.22), (place * keep, 0.12, top))
            b.box("walls", (keep * 2.1, keep * 0.42, 0.22), (0, 0.12 + place * keep, top))
        b.phrase("with battlements")


def _tower(b: Builder) -> None:
    high, radius = b.uniform(1.5, 2.2), b.uniform(0.28, 0.4)
    square = b.chance(0.4)
    face = -radius
    if square:
        b.box("walls", (2 * radius, 2 * radius, high), (0, 0, high / 2))
        b.box("walls", (2.5 * radius, 2.5 * radius, 0.25), (0, 0, high))
        b.adjective("square")
    else:
        b.cylinder("walls", radius * 1.1, high, (0, 0, high / 2), top=radius * 0.95)
        b.cylinder("walls", radius * 1.25, 0.25, (0, 0, high))
        b.adjective("round")
    if b.chance(0.5):
        b.cylinder("roof", radius * 1.5, radius * 2.4, (0, 0, high + 0.1 + radius * 1.2), top=0)
        b.phrase("with a pointed roof")
    else:
        reach = radius * (1.1 if square else 1.08)
        for i in range(8):
            x, y = reach * cos(i * pi / 4), reach * sin(i * pi / 4)
            if square:
                stretch = 1 / max(abs(cos(i * pi / 4)), abs(sin(i * pi / 4)))
                x, y = x * stretch, y * stretch
            b.box("walls", (radius * 0.38, radius * 0.38, 0.26), (x, y, high + 0.22), (0, 0, 0 if square else 45 * i))
        b.phrase("with battlements")
    _opening(b, "door", 0, face * 1.05, 0, radius * 0.75, 0.42)
    for low in (0.5, 0.75):
        _opening(b, "windows", 0, face * 1.0, high * low - 0.1, radius * 0.45, 0.26)
        b.box("windows", (radius * 2.15, radius * 0.45, 0.26), (0, 0, high * low))


def _lighthouse(b: Builder) -> None:
    high, wide = b.uniform(1.5, 2.1), b.uniform(0.34, 0.44)
    slim, bands = wide * b.uniform(0.55, 0.68), b.choice((5, 5, 6, 7))
    step = high / bands
    for i in range(bands):
        low, top = (wide + (slim - wide) * t / bands for t in (i, i + 1))
        b.cylinder("stripes" if i % 2 else "walls", low, step, (0, 0, step * (i + 0.5)), top=top)
    b.cylinder("gallery", slim * 1.5, 0.1, (0, 0, high + 0.04))
    b.cylinder("lamp", slim * 0.8, 0.32, (0, 0, high + 0.22))
    b.cylinder("roof", slim * 1.15, 0.28, (0, 0, high + 0.5), top=0)
    b.ball("roof", 0.05, (0, 0, high + 0.64))
    _opening(b, "door", 0, -wide * 0.97, 0, 0.22, 0.34)
    if b.chance(0.5):
        b.ellipsoid("rock", (wide * 1.9, wide * 1.7, 0.16), (0, 0, 0))
        b.phrase("on a rock")
    b.adjective("tall" if high > 1.9 else "")


def _windmill(b: Builder) -> None:
    high, wide = b.uniform(1.2, 1.6), b.uniform(0.38, 0.48)
    slim = wide * b.uniform(0.58, 0.7)
    b.cylinder("walls", wide, high, (0, 0, high / 2), top=slim)
    if b.chance(0.5):
        b.ellipsoid("roof", (slim * 1.15, slim * 1.15, slim * 1.1), (0, 0, high))
    else:
        b.cylinder("roof", slim * 1.3, slim * 1.6, (0, 0, high + slim * 0.75), top=0)
    front, axle, turn = -slim * 1.25, high + 0.1, b.uniform(0, pi / 2)
    b.rod("blades", (0, front - 0.1, axle), (0, 0.1, axle), 0.08)
    reach = b.uniform(0.75, 0.95)
    for i in range(4):
        x, z = cos(turn + i * pi / 2), sin(turn + i * pi / 2)
        b.rod("blades", (0, front, axle), (reach * x, front, axle + reach * z), 0.035)
        # The sail lies on one side of its arm.
        far, off = reach * 0.62, 0.08
        center = (far * x - off * z, front, axle + far * z + off * x)
        b.box("blades", (reach * 0.72, 0.05, 0.2), center, (0, -(turn + i * pi / 2) * 180 / pi, 0))
    _opening(b, "door", 0, -wide * 0.97, 0, 0.24, 0.42)
    _opening(b, "windows", 0, -(wide + slim) / 2, high * 0.5, 0.17, 0.17)


def _church(b: Builder) -> None:
    wide, deep, wall = b.uniform(0.7, 0.9), b.uniform(1.1, 1.5), b.uniform(0.6, 0.75)
    _gable(b, wide, deep, wall, b.uniform(0.4, 0.55), UPRIGHT_Y)
    side, high, spire = b.uniform(0.38, 0.46), b.uniform(1.2, 1.5), b.uniform(0.6, 0.9)
    y = -deep / 2 - side * 0.3
    b.box("walls", (side, side, high), (0, y, high / 2))
    b.cylinder("roof", side * 0.78, spire, (0, y, high + spire / 2 - 0.02), top=0.02)
    top = high + spire
    b.box("cross", (0.07, 0.07, 0.36), (0, y, top + 0.1))
    b.box("cross", (0.24, 0.07, 0.07), (0, y, top + 0.14))
    _opening(b, "door", 0, y - side / 2, 0, 0.22, 0.42)
    _opening(b, "windows", 0, y - side / 2, high * 0.7, 0.17, 0.22)
    for place in (-0.15, 0.1, 0.35):
        b.box("windows", (wide + 0.08, 0.15, 0.3), (0, place * deep, wall * 0.6))
    b.phrase("with a steeple")


def _skyscraper(b: Builder) -> None:
    wide, deep, high = b.uniform(0.55, 0.75), b.uniform(0.5, 0.7), b.uniform(1.8, 2.4)
    steps, low = b.choice((1, 2, 3)), 0.0
    rows = {1: 6, 2: 4, 3: 2}[steps]
    for i in range(steps):
        shrink, tall = 1 - 0.22 * i, high * (1 if steps == 1 else (0.6, 0.4, 0.3)[i])
        w, d = wide * shrink, deep * shrink
        b.box("walls", (w, d, tall), (0, 0, low + tall / 2))
        for row in range(rows):
            b.box("windows", (w * 1.04, d * 1.04, tall / rows * 0.45), (0, 0, low + tall * (row + 0.55) / rows))
        low += tall
    if b.chance(0.5):
        b.rod("mast", (0, 0, low - 0.05), (0, 0, low + b.uniform(0.3, 0.5)), 0.05, 0.03)
        b.phrase("with an antenna")
    b.adjective("tall")


WALL_SLOT = Slot("walls", WALLS, paint=0.3)
DOOR_SLOT = Slot("door", DOOR, "a door", paint=0.2)
ROOF_SLOT = Slot("roof", ROOF, "a roof", paint=0.25)
WINDOW_SLOT = Slot("windows", GLASS, "windows", paint=0.1)

HOUSE = Family(
    "house",
    "buildings",
    ("house", "cottage", "home"),
    (WALL_SLOT, ROOF_SLOT, DOOR_SLOT, WINDOW_SLOT, Slot("chimney", ("brick", "grey", "brown"))),
    _house,
)
CASTLE = Family(
    "castle",
    "buildings",
    ("castle", "fortress", "fairy-tale castle"),
    (
        Slot("walls", STONE, paint=0.3),
        Slot("roof", (*ROOF, "blue", "purple"), "roofs", paint=0.25),
        Slot("gate", ("brown", "wooden", "black"), "a gate", paint=0.1),
    ),
    _castle,
)
TOWER = Family(
    "tower",
    "buildings",
    ("tower", "castle tower"),
    (Slot("walls", STONE, paint=0.3), ROOF_SLOT, DOOR_SLOT, Slot("windows", ("black", "dark blue"))),
    _tower,
)
LIGHTHOUSE = Family(
    "lighthouse",
    "buildings",
    ("lighthouse", "light house", "beacon"),
    (
        Slot("walls", ("white", "white", "yellow"), paint=0.2),
        Slot("stripes", ("red", "red", "blue", "black"), "stripes", paint=0.3),
        Slot("roof", ("red", "dark grey", "black"), "a roof", paint=0.15),
        Slot("lamp", ("yellow",)),
        Slot("gallery", ("dark grey", "black", "grey")),
        DOOR_SLOT,
        Slot("rock", ("stone", "grey", "brown")),
    ),
    _lighthouse,
)
WINDMILL = Family(
    "windmill",
    "buildings",
    ("windmill", "mill", "dutch windmill"),
    (
        Slot("walls", ("white", "beige", "stone", "brick", "wooden"), paint=0.3),
        Slot("roof", ROOF, "a roof", paint=0.2),
        Slot("blades", ("brown", "white", "wooden", "red", "grey"), "blades", paint=0.2),
        DOOR_SLOT,
        Slot("windows", GLASS),
    ),
    _windmill,
)
CHURCH = Family(
    "church",
    "buildings",
    ("church", "chapel"),
    (
        Slot("walls", ("white", "beige", "stone", "brick"), paint=0.2),
        ROOF_SLOT,
        DOOR_SLOT,
        WINDOW_SLOT,
        Slot("cross", ("golden", "black", "white")),
    ),
    _church,
)
SKYSCRAPER = Family(
    "skyscraper",
    "buildings",
    ("skyscraper", "high-rise", "office building", "tower block"),
    (Slot("walls", ("grey", "white", "dark grey", "beige", "brick"), paint=0.3), WINDOW_SLOT, Slot("mast", PAINT)),
    _skyscraper,
)

FAMILIES: tuple[Family, ...] = (HOUSE, CASTLE, TOWER, LIGHTHOUSE, WINDMILL, CHURCH, SKYSCRAPER)
