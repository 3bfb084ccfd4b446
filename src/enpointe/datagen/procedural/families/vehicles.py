"""Things that go."""

from __future__ import annotations

from enpointe.datagen.procedural.colours import DARK, METAL, PAINT
from enpointe.datagen.procedural.recipe import UPRIGHT_X, Builder, Family, Slot


def _wheel(b: Builder, x: float, y: float, radius: float, width: float, hub: str = "metal") -> None:
    """A tyre with a hub, standing on the floor, its axle along x."""
    b.cylinder("tyres", radius, width, (x, y, radius), (0, 90, 0))
    b.cylinder(hub, radius * 0.5, width * 1.15, (x, y, radius), (0, 90, 0))


def _car(b: Builder) -> None:
    length, width = b.uniform(3.6, 4.6), b.uniform(1.6, 1.9)
    wheel = b.uniform(0.3, 0.38)
    floor, belt, roof = 0.25, b.uniform(0.8, 0.95), b.uniform(1.35, 1.6)
    h = length / 2
    # The side's outline, front at -y.
    body = [(-h, floor), (-h, belt * 0.85), (-h * 0.45, belt), (h * 0.85, belt), (h, belt * 0.9), (h, floor)]
    b.prism("body", body, width, rot=UPRIGHT_X)
    nose, tail = b.uniform(0.3, 0.5), b.uniform(0.55, 0.85)
    cabin = [(-h * nose, belt), (-h * 0.12, roof), (h * (tail - 0.25), roof), (h * tail, belt)]
    b.prism("windows", cabin, width * 0.86, rot=UPRIGHT_X)
    roof_top = [(-h * 0.14, roof - 0.04), (-h * 0.12, roof + 0.04), (h * (tail - 0.25), roof + 0.04), (h * (tail - 0.22), roof - 0.04)]
    b.prism("body", roof_top, width * 0.9, rot=UPRIGHT_X)
    for y in (-h * 0.62, h * 0.62):
        for x in (-1, 1):
            _wheel(b, x * width * 0.46, y, wheel, 0.25)
    for x in (-0.35, 0.35):
        b.ellipsoid("lights", (0.14, 0.06, 0.1), (x * width, -h, belt * 0.65))
    b.adjective("long" if length > 4.3 else "small" if length < 3.9 else "")


CAR = Family(
    "car",
    "vehicles",
    ("car", "automobile", "sedan"),
    (
        Slot("body", PAINT),
        Slot("windows", ("light blue", "dark grey", "black"), "windows"),
        Slot("tyres", DARK, "wheels", paint=0.1),
        Slot("metal", METAL),
        Slot("lights", ("yellow", "white")),
    ),
    _car,
)

FAMILIES: tuple[Family, ...] = (CAR,)
