"""Motorcycles and bicycles. Lengths are meters; tubes and tyres are thicker than in life."""

from __future__ import annotations

import numpy as np

from enpointe.data.procedural.colors import DARK, METAL, PAINT
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot


def _mudguard(
    b: Builder, slot: str, y: float, z: float, radius: float, width: float, start: float, stop: float
) -> None:
    """A bent strip over a wheel at (y, z), `start` to `stop` degrees from the front over the top."""
    turn = np.deg2rad(180 - np.linspace(start, stop, 8))
    outer = [(y + radius * 1.12 * np.cos(a), z + radius * 1.12 * np.sin(a)) for a in turn]
    inner = [(y + radius * np.cos(a), z + radius * np.sin(a)) for a in turn[::-1]]
    b.prism(slot, outer + inner, width, rot=UPRIGHT_X)


def _motorcycle(b: Builder) -> None:
    style = b.choice(("road", "road", "cruiser", "sports"))
    base = b.uniform(1.35, 1.5) + (0.15 if style == "cruiser" else 0)
    radius, tube = b.uniform(0.25, 0.29), b.uniform(0.085, 0.11)
    front, back, z = -base / 2, base / 2, radius + tube
    for y in (front, back):
        b.torus("tyres", radius, tube, (0, y, z), (0, 90, 0))
        b.cylinder("metal", radius * 0.9, 0.07, (0, y, z), (0, 90, 0))
        b.cylinder("metal", 0.09, 0.24, (0, y, z), (0, 90, 0))
    saddle = b.uniform(0.68, 0.74) if style == "cruiser" else b.uniform(0.78, 0.88)
    rake = 0.42 if style == "cruiser" else 0.27
    head = (front + rake, saddle + 0.2)
    for x in (-0.15, 0.15):
        b.limb("metal", (x, front, z), (x, head[0], head[1]), 0.045)
        b.limb("metal", (x, back, z), (x, 0.1, 0.42), 0.045)
    # The tank, the seat behind it, the tail over the rear wheel.
    tank = b.uniform(0.28, 0.34)
    b.ellipsoid("body", (0.2, tank, 0.18), (0, head[0] + tank * 0.95, saddle + 0.08), (-6, 0, 0))
    seat = head[0] + tank * 1.5
    end = back + b.uniform(-0.1, 0.1)
    b.prism(
        "seat",
        [
            (seat, saddle - 0.05),
            (seat, saddle + 0.06),
            (end - 0.2, saddle + 0.07),
            (end, saddle + 0.16),
            (end + 0.02, saddle + 0.04),
            (end - 0.15, saddle - 0.06),
        ],
        0.28,
        rot=UPRIGHT_X,
    )
    b.prism(
        "body",
        [(seat, saddle - 0.04), (end + 0.02, saddle + 0.03), (end - 0.1, saddle - 0.12), (seat, saddle - 0.2)],
        0.2,
        rot=UPRIGHT_X,
    )
    b.box("engine", (0.3, 0.46, 0.36), (0, -0.03, 0.46))
    b.cylinder("engine", 0.13, 0.4, (0, 0.05, 0.36), (0, 90, 0))
    b.limb("body", (0, head[0], head[1] - 0.05), (0, -0.2, 0.4), 0.055)
    b.limb("body", (0, 0.12, 0.4), (0, seat + 0.1, saddle - 0.1), 0.055)
    _mudguard(b, "body", front, z, radius + tube * 1.15, 0.2, 35, 130)
    _mudguard(b, "body", back, z, radius + tube * 1.15, 0.22, 60, 165)
    reach, rise = b.uniform(0.34, 0.42), 0.26 if style == "cruiser" else 0.1
    y, top = head[0], head[1]
    b.path(
        "bars",
        [
            (-reach, y + 0.2, top + rise),
            (-0.2, y + 0.02, top + rise),
            (0, y, top),
            (0.2, y + 0.02, top + rise),
            (reach, y + 0.2, top + rise),
        ],
        0.04,
    )
    if style == "sports":
        b.prism(
            "body",
            [(front + 0.02, saddle + 0.02), (y - 0.02, top + 0.2), (y + 0.12, top + 0.12), (y + 0.18, 0.55), (y, 0.45)],
            0.34,
            rot=UPRIGHT_X,
        )
        b.ellipsoid("lights", (0.12, 0.08, 0.09), (0, front + 0.05, saddle + 0.06))
    else:
        b.ellipsoid("lights", (0.13, 0.11, 0.13), (0, y - 0.12, top - 0.06))
    pipes = b.integer(1, 2)
    for x in (0.2, -0.2)[:pipes]:
        b.path("metal", [(x, -0.2, 0.35), (x, 0.1, 0.26), (x, back + 0.1, z + 0.03)], 0.06)
    if pipes == 2:
        b.phrase("with two exhaust pipes")


MOTORCYCLE = Family(
    "motorcycle",
    "vehicles",
    ("motorcycle", "motorbike"),
    (
        Slot("body", PAINT),
        Slot("seat", ("black", "brown", "dark grey"), "a seat", paint=0.25),
        Slot("tyres", DARK, "wheels", paint=0.1),
        Slot("metal", METAL),
        Slot("engine", ("grey", "dark grey", "silver")),
        Slot("bars", DARK, "handlebars", paint=0.1),
        Slot("lights", ("yellow", "white")),
    ),
    _motorcycle,
)


def _bicycle(b: Builder) -> None:
    radius, tube = b.uniform(0.29, 0.34), b.uniform(0.035, 0.05)
    base, bar = b.uniform(1.02, 1.15), b.uniform(0.032, 0.042)
    z = radius + tube
    front, back = -base / 2, base / 2
    for y in (front, back):
        b.torus("tyres", radius, tube, (0, y, z), (0, 90, 0))
        b.cylinder("metal", 0.05, 0.16, (0, y, z), (0, 90, 0))
        for turn in (20, 80, 140):
            a = np.deg2rad(turn)
            hub, spoke = np.array((0, y, z)), np.array([0, radius * np.cos(a), radius * np.sin(a)])
            b.rod("metal", hub - spoke, hub + spoke, 0.014)
    saddle = b.uniform(0.84, 1.0)
    pedals, post = (0, 0.04, z - 0.04), (0, 0.2, saddle - 0.16)
    neck, crown = (0, front + 0.2, z + 0.42), (0, front + 0.15, z + 0.28)
    step_through = b.chance(0.3)
    b.limb("frame", crown, pedals, bar)
    b.limb("frame", pedals, post, bar)
    b.limb("frame", crown if step_through else neck, (0, 0.11, z + 0.14) if step_through else post, bar)
    b.limb("frame", crown, neck, bar * 1.2)
    for x in (-0.065, 0.065):
        b.limb("frame", (x, back, z), (x * 0.4, pedals[1], pedals[2]), bar * 0.7)
        b.limb("frame", (x, back, z), (x * 0.4, post[1], post[2]), bar * 0.7)
        b.limb("frame", (x, front, z), (x * 0.7, crown[1], crown[2]), bar * 0.8)
    b.limb("metal", post, (0, 0.23, saddle), bar * 0.8)
    b.ellipsoid("seat", (0.1, 0.15, 0.045), (0, 0.25, saddle + 0.02))
    b.ellipsoid("seat", (0.05, 0.14, 0.035), (0, 0.13, saddle + 0.02))
    top, reach, y = neck[2] + b.uniform(0.1, 0.2), b.uniform(0.24, 0.32), neck[1]
    b.limb("bars", neck, (0, y + 0.02, top), bar * 0.9)
    if b.chance(0.3):
        for x in (-reach * 0.75, reach * 0.75):
            b.path(
                "bars",
                [(x, y, top), (x, y - 0.14, top - 0.02), (x, y - 0.12, top - 0.15), (x, y, top - 0.17)],
                bar * 0.85,
            )
        b.limb("bars", (-reach * 0.75, y, top), (reach * 0.75, y, top), bar * 0.9)
    else:
        b.path(
            "bars",
            [
                (-reach, y + 0.17, top + 0.02),
                (-reach * 0.6, y, top),
                (reach * 0.6, y, top),
                (reach, y + 0.17, top + 0.02),
            ],
            bar * 0.95,
        )
    b.cylinder("metal", 0.1, 0.05, pedals, (0, 90, 0))
    for x in (-1, 1):
        b.limb("metal", (x * 0.05, pedals[1], pedals[2]), (x * 0.1, pedals[1] - x * 0.12, pedals[2] - x * 0.1), 0.025)
        b.box("tyres", (0.12, 0.1, 0.05), (x * 0.14, pedals[1] - x * 0.12, pedals[2] - x * 0.1))
    if b.chance(0.25):
        b.box("basket", (0.34, 0.24, 0.22), (0, y - 0.18, top - 0.02))
        b.phrase("with a basket")


BICYCLE = Family(
    "bicycle",
    "vehicles",
    ("bicycle", "bike"),
    (
        Slot("frame", PAINT),
        Slot("tyres", DARK, "wheels", paint=0.2),
        Slot("seat", ("black", "brown", "dark grey"), "a seat", paint=0.2),
        Slot("bars", (*METAL, "black"), "handlebars", paint=0.1),
        Slot("metal", METAL),
        Slot("basket", ("brown", "beige", "wooden"), "a basket", paint=0.2),
    ),
    _bicycle,
)

FAMILIES: tuple[Family, ...] = (MOTORCYCLE, BICYCLE)
