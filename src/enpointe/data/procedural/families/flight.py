"""Things that fly. Lengths are roughly meters; the nose points along -y, a rocket's up."""

from __future__ import annotations

import numpy as np

from enpointe.data.procedural.colors import DARK, METAL, PAINT
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot

GLASS = ("light blue", "dark grey", "black")


def _wing(
    b: Builder, slot: str, root: float, z: float, span: float, chord: float, tip: float, sweep: float,
    thick: float, tilt: float = 0,
) -> None:  # fmt: skip
    """A pair of wings whose leading edge meets the body at y = root; `tilt` lifts the tips, degrees."""
    for x in (-1, 1):
        outline = [(0, root), (x * span, root + sweep), (x * span, root + sweep + tip), (0, root + chord)]
        b.prism(slot, outline, thick, (0, 0, z), (0, -x * tilt, 0))


def _aeroplane(b: Builder) -> None:
    (_airliner if b.chance(0.6) else _propeller_plane)(b)


def _airliner(b: Builder) -> None:
    length, radius = b.uniform(9.0, 12.0), b.uniform(0.62, 0.78)
    h, z, span = length / 2, radius + 0.5, b.uniform(4.0, 5.2)
    wing = b.choice(("body", "wings"))
    b.limb("body", (0, -h + 2 * radius, z), (0, h * 0.45, z), radius)
    b.ellipsoid("body", (radius, radius * 2.2, radius), (0, -h + 2.2 * radius, z))
    b.rod("body", (0, h * 0.4, z), (0, h, z + radius * 0.4), radius, radius * 0.3)
    b.box("windows", (radius * 1.3, 0.4, 0.34), (0, -h + radius * 1.0, z + radius * 0.45), (-35, 0, 0))
    b.box("windows", (radius * 2.02, length * 0.55, 0.22), (0, -h * 0.1, z + radius * 0.2))
    root, sweep = -h * b.uniform(0.18, 0.3), b.uniform(1.2, 2.2)
    _wing(b, wing, root, z - radius * 0.4, span, b.uniform(2.0, 2.5), 0.9, sweep, 0.34, 4)
    _wing(b, wing, h * 0.66, z + radius * 0.3, span * 0.4, 1.3, 0.7, 0.7, 0.32)
    fin = b.uniform(1.8, 2.3)
    b.prism(
        "tail",
        [(h * 0.58, z), (h * 0.88, z + radius + fin), (h * 1.06, z + radius + fin), (h * 0.98, z)],
        0.34,
        rot=UPRIGHT_X,
    )
    four = b.chance(0.35)
    for share in (0.34, 0.66) if four else (0.38,):
        for x in (-1, 1):
            y = root + sweep * share + 0.2
            b.cylinder("engines", 0.36, 1.3, (x * span * share, y, z - radius * 0.4 - 0.36), (90, 0, 0), top=0.46)
    b.phrase("with four engines" if four else "with two engines")


def _propeller_plane(b: Builder) -> None:
    length, radius = b.uniform(5.5, 6.8), b.uniform(0.58, 0.68)
    h, span = length / 2, b.uniform(3.0, 3.8)
    z = radius + 0.75
    wing = b.choice(("body", "wings"))
    b.limb("body", (0, -h + 1.1, z), (0, -h * 0.1, z), radius)
    b.cylinder("body", radius * 0.85, 1.1, (0, -h + 0.7, z), (90, 0, 0))
    b.rod("body", (0, -h * 0.1, z), (0, h, z + 0.12), radius * 0.96, radius * 0.34)
    b.ellipsoid("windows", (radius * 0.74, 0.9, 0.6), (0, -h * 0.12, z + radius * 0.75))
    levels, chord, root = b.choice((1, 1, 2)), b.uniform(1.1, 1.3), -h * 0.42
    for high in (z - radius * 0.5, z + radius * 2.1)[:levels]:
        _wing(b, wing, root, high, span, chord, chord * 0.8, 0.1, 0.26, 0)
    if levels == 2:
        for x in (-0.6, -0.14, 0.14, 0.6):
            b.rod(
                "metal",
                (x * span, root + chord / 2, z - radius * 0.5),
                (x * span, root + chord / 2, z + radius * 2.1),
                0.1,
            )
        b.phrase("with two pairs of wings")
    _wing(b, wing, h * 0.68, z + 0.1, span * 0.36, 0.85, 0.6, 0.2, 0.22)
    b.prism("tail", [(h * 0.62, z), (h * 0.86, z + 1.35), (h * 1.03, z + 1.35), (h * 1.03, z)], 0.24, rot=UPRIGHT_X)
    blade = b.uniform(0.95, 1.15)
    b.cylinder("metal", 0.06, 0.5, (0, -h - 0.05, z), (90, 0, 0), top=0.24)
    turn = b.uniform(10, 80)
    for i in range(b.integer(1, 2)):
        b.box("propeller", (blade * 2, 0.16, 0.28), (0, -h, z), (0, turn + 90 * i, 0))
    b.phrase("with a propeller")
    for x in (-0.8, 0.8):
        b.limb("metal", (x * 0.5, -h * 0.4, z - radius * 0.7), (x, -h * 0.4, 0.34), 0.1)
        b.cylinder("tyres", 0.34, 0.26, (x, -h * 0.4, 0.34), (0, 90, 0))


AEROPLANE = Family(
    "aeroplane",
    "vehicles",
    ("aeroplane", "airplane", "plane"),
    (
        Slot("body", (*PAINT, "white", "white", "silver")),
        Slot("wings", ("white", "grey", "silver"), "wings", paint=0.3),
        Slot("tail", ("white", "blue", "red", "grey"), "a tail fin", paint=0.3),
        Slot("windows", GLASS),
        Slot("engines", METAL),
        Slot("propeller", (*DARK, "brown")),
        Slot("metal", METAL),
        Slot("tyres", DARK),
    ),
    _aeroplane,
)


def _helicopter(b: Builder) -> None:
    wide, long, tall = b.uniform(0.95, 1.15), b.uniform(1.5, 1.9), b.uniform(0.95, 1.15)
    z = tall + 0.65
    b.ellipsoid("body", (wide, long, tall), (0, 0, z))
    b.ellipsoid("windows", (wide * 0.86, long * 0.62, tall * 0.78), (0, -long * 0.46, z + 0.08))
    b.box("windows", (wide * 1.97, long * 0.42, tall * 0.55), (0, 0, z + 0.2))
    tail = long + b.uniform(2.0, 2.8)
    b.rod("body", (0, long * 0.5, z + 0.15), (0, tail, z + 0.45), 0.52, 0.2)
    b.prism(
        "body",
        [(tail - 0.5, z + 0.3), (tail, z + 1.35), (tail + 0.45, z + 1.35), (tail + 0.2, z + 0.2)],
        0.22,
        rot=UPRIGHT_X,
    )
    b.box("body", (1.5, 0.5, 0.2), (0, tail - 0.7, z + 0.4))
    for turn in (20.0, 110.0):
        b.box("blades", (0.16, 0.2, 1.2), (0.2, tail + 0.05, z + 0.75), (turn, 0, 0))
    top = z + tall + 0.5
    b.cylinder("body", 0.62, 0.5, (0, 0.2, z + tall), top=0.4)
    b.cylinder("metal", 0.16, 0.7, (0, 0.2, top - 0.15))
    b.cylinder("metal", 0.3, 0.24, (0, 0.2, top + 0.1))
    count, reach, turn = b.integer(2, 4), b.uniform(2.6, 3.3), b.uniform(0, 90)
    for i in range(count):
        a = np.deg2rad(turn + 360 * i / count)
        b.box(
            "blades",
            (reach, 0.32, 0.16),
            (reach / 2 * np.cos(a), 0.2 + reach / 2 * np.sin(a), top + 0.1),
            (0, 0, np.rad2deg(a)),
        )
    b.phrase(f"with {('two', 'three', 'four')[count - 2]} rotor blades")
    for x in (-0.8, 0.8):
        b.path("metal", [(x, -long - 0.1, 0.3), (x, -long * 0.8, 0.1), (x, long * 0.75, 0.1)], 0.1)
        for y in (-0.45, 0.45):
            b.rod("metal", (x, y * long, 0.1), (x * 0.5, y * long * 0.8, z - tall * 0.7), 0.09)


HELICOPTER = Family(
    "helicopter",
    "vehicles",
    ("helicopter", "chopper"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        Slot("blades", (*DARK, "grey"), "rotor blades", paint=0.2),
        Slot("metal", METAL),
    ),
    _helicopter,
)


def _rocket(b: Builder) -> None:
    radius, tall = b.uniform(0.5, 0.7), b.uniform(3.0, 4.4)
    base = b.uniform(0.5, 0.7)
    nose = radius * b.uniform(1.8, 2.6)
    if b.chance(0.5):  # A cigar with a belly, or a straight tube.
        t = np.linspace(0, 1, 9)
        bulge = [(radius * (0.66 + 0.44 * np.sin(np.pi * (0.12 + 0.76 * u))), base + u * tall) for u in t]
        b.revolve("body", [(0, base), *bulge, (0, base + tall)])
        tip = bulge[-1][0]
    else:
        b.cylinder("body", radius, tall, (0, 0, base + tall / 2))
        tip = radius
    t = np.linspace(0, 1, 7)
    b.revolve(
        "nose",
        [(0, 0), *((tip * np.cos(np.pi / 2 * u) ** 0.85, u * nose) for u in t[:-1]), (0, nose)],
        (0, 0, base + tall),
    )
    b.torus("trim", tip * 0.95, radius * 0.14, (0, 0, base + tall))
    b.cylinder("nozzle", radius * 0.85, base, (0, 0, base * 0.6), top=radius * 0.5)
    count = b.integer(3, 4)
    out, rise = radius + b.uniform(0.5, 0.8), b.uniform(1.0, 1.5)
    fin = [(radius * 0.4, base + 0.1), (out, 0), (out, rise * 0.5), (radius * 0.4, base + rise)]
    for i in range(count):
        b.prism("fins", fin, 0.2, rot=(90, 0, 360 * i / count - 90))
    b.phrase(f"with {('three', 'four')[count - 3]} fins")
    for z in (0.72, 0.48)[: b.integer(1, 2)]:
        b.cylinder("trim", radius * 0.46, 0.3, (0, -radius * 0.96, base + z * tall), (90, 0, 0))
        b.cylinder("window", radius * 0.32, 0.4, (0, -radius * 0.96, base + z * tall), (90, 0, 0))
    b.adjective("tall" if tall > 4 else "short" if tall < 3.3 else "")


ROCKET = Family(
    "rocket",
    "vehicles",
    ("rocket", "rocket ship", "spaceship"),
    (
        Slot("body", (*PAINT, "white", "white", "silver")),
        Slot("fins", ("red", "blue", "orange", "grey"), "fins", paint=0.3),
        Slot("nose", ("red", "blue", "orange", "grey"), "a nose cone", paint=0.3),
        Slot("trim", METAL),
        Slot("window", ("light blue", "black")),
        Slot("nozzle", (*DARK, "grey")),
    ),
    _rocket,
)

FAMILIES: tuple[Family, ...] = (AEROPLANE, HELICOPTER, ROCKET)
