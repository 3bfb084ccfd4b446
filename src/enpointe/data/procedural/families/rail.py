"""Locomotives. Lengths are roughly meters."""

from __future__ import annotations

from enpointe.data.procedural.colors import DARK, PAINT
from enpointe.data.procedural.families.vehicles import GLASS, HUBS, LIGHTS, axle, headlights
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot


def _train(b: Builder) -> None:
    (_steam if b.chance(0.65) else _diesel)(b)


def _steam(b: Builder) -> None:
    boiler, cab = b.uniform(3.4, 4.6), b.uniform(1.5, 1.9)
    radius, wheel = b.uniform(0.72, 0.85), b.uniform(0.52, 0.66)
    y0 = -(boiler + cab) / 2
    y1, y2 = y0 + boiler, y0 + boiler + cab
    axis = wheel * 1.5 + radius
    b.cylinder("body", radius, boiler, (0, (y0 + y1) / 2, axis), (90, 0, 0))
    b.cylinder("trim", radius * 1.08, 0.3, (0, y0 + 0.1, axis), (90, 0, 0))
    b.cylinder("trim", radius * 0.5, 0.2, (0, y0 - 0.1, axis), (90, 0, 0))
    top = axis + radius
    chimney = b.uniform(0.7, 1.0)
    b.cylinder("trim", 0.24, chimney + 0.3, (0, y0 + 0.55, top + chimney / 2 - 0.1), top=0.42)
    for y in (0.5, 0.8)[: b.integer(1, 2)]:
        b.limb("dome", (0, y0 + boiler * y, top - 0.2), (0, y0 + boiler * y, top + 0.15), 0.3)
    roof = top + b.uniform(0.45, 0.7)
    b.box("body", (1.9, cab, roof - wheel * 1.3), (0, (y1 + y2) / 2, (roof + wheel * 1.3) / 2))
    b.box("windows", (2.0, cab * 0.5, 0.6), (0, (y1 + y2) / 2, roof - 0.55))
    b.box("trim", (2.2, cab + 0.4, 0.2), (0, (y1 + y2) / 2, roof + 0.05))
    b.box("trim", (1.5, boiler + cab + 0.2, 0.32), (0, 0, wheel * 1.4))
    b.prism(
        "trim",
        [(y0 - 0.75, 0.1), (y0 - 0.1, wheel * 1.5), (y0 + 0.3, wheel * 1.5), (y0 + 0.3, 0.1)],
        1.5,
        rot=UPRIGHT_X,
    )
    b.cylinder("lights", 0.22, 0.3, (0, y0 - 0.1, top + 0.1), (90, 0, 0))
    count = b.integer(3, 4)
    for i in range(count):
        y = y0 + wheel * 1.3 + i * (boiler + cab - 2.3 * wheel) / (count - 1)
        for x in (-0.8, 0.8):
            b.cylinder("tyres", wheel, 0.26, (x, y, wheel), (0, 90, 0))
            b.cylinder("metal", wheel * 0.5, 0.34, (x, y, wheel), (0, 90, 0))
    b.phrase("with a chimney")


def _diesel(b: Builder) -> None:
    length, width, top = b.uniform(6.0, 9.0), b.uniform(1.9, 2.2), b.uniform(2.7, 3.0)
    h, floor = length / 2, 0.55
    slope = b.uniform(0.8, 1.8)
    b.prism("body", [(-h, floor), (-h, floor + 0.9), (-h + slope, top), (h, top), (h, floor)], width, rot=UPRIGHT_X)
    # Glass along the slope of the nose, between 45 and 90 percent of it.
    rise = top - floor - 0.9
    low, high = (-h + slope * 0.3, floor + 0.9 + rise * 0.3), (-h + slope * 0.82, floor + 0.9 + rise * 0.82)
    b.prism(
        "windows",
        [
            (low[0] - 0.1, low[1]),
            (high[0] - 0.1, high[1]),
            (high[0] + 0.3, high[1] - 0.1),
            (low[0] + 0.3, low[1] - 0.1),
        ],
        width * 0.85,
        rot=UPRIGHT_X,
    )
    count = round(length / 1.6)
    pitch = (length - slope - 0.4) / count
    for i in range(count):
        b.box("windows", (width * 1.04, pitch * 0.66, 0.62), (0, -h + slope + (i + 0.5) * pitch, top - 0.75))
    b.box("trim", (width * 1.04, length * 1.01, 0.34), (0, 0, floor + 0.5))
    b.box("trim", (width * 0.7, length * 0.9, 0.4), (0, 0, floor))
    for y in (-0.38, -0.22, 0.22, 0.38):
        axle(b, width * 0.36, y * length, 0.42, 0.3)
    headlights(b, width * 0.33, -h, floor + 0.75, 0.18)


TRAIN = Family(
    "train",
    "vehicles",
    ("train", "locomotive", "train engine"),
    (
        Slot("body", PAINT),
        Slot("trim", (*DARK, *DARK, "dark red")),
        Slot("windows", GLASS),
        Slot("dome", ("golden", "black")),
        Slot("tyres", (*DARK, "dark red", "red"), "wheels", paint=0.1),
        HUBS,
        LIGHTS,
    ),
    _train,
)

FAMILIES: tuple[Family, ...] = (TRAIN,)
