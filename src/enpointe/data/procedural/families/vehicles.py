"""Things that go on the road or the field. Lengths are roughly meters; wheels and bars are thicker than in life."""

from __future__ import annotations

from enpointe.data.procedural.colors import DARK, METAL, PAINT
from enpointe.data.procedural.family import UPRIGHT_X, Builder, Family, Slot

GLASS = ("light blue", "dark grey", "black")
WHEELS = Slot("tyres", DARK, "wheels", paint=0.1)
HUBS = Slot("metal", METAL)
LIGHTS = Slot("lights", ("yellow", "white"))


def _wheel(b: Builder, x: float, y: float, radius: float, width: float, hub: str = "metal") -> None:
    """A tyre with a hub, standing on the floor, its axle along x."""
    b.cylinder("tyres", radius, width, (x, y, radius), (0, 90, 0))
    b.cylinder(hub, radius * 0.5, width * 1.15, (x, y, radius), (0, 90, 0))


def axle(b: Builder, reach: float, y: float, radius: float, width: float, hub: str = "metal") -> None:
    """Two wheels at x = -reach and x = reach."""
    for x in (-reach, reach):
        _wheel(b, x, y, radius, width, hub)


def headlights(b: Builder, reach: float, y: float, z: float, radius: float) -> None:
    """Two lamps at x = -reach and x = reach."""
    for x in (-reach, reach):
        b.ellipsoid("lights", (radius, radius * 0.6, radius), (x, y, z))


# A car's cabin, as shares of half its length: foot of the windscreen, roof from, roof to, foot of
# the rear window; then the roof's height above the belt line.
_CABINS = {
    "saloon": (-0.42, -0.14, 0.36, 0.68, 0.56),
    "hatchback": (-0.52, -0.24, 0.66, 0.94, 0.6),
    "sports": (-0.28, 0.08, 0.36, 0.8, 0.42),
    "estate": (-0.46, -0.22, 0.8, 0.95, 0.58),
}


def _car(b: Builder) -> None:
    style = b.choice(("saloon", "saloon", "hatchback", "sports", "estate", "open"))
    length = b.uniform(3.2, 3.8) if style == "hatchback" else b.uniform(3.8, 4.8)
    width, wheel, h = b.uniform(1.6, 1.95), b.uniform(0.36, 0.44), length / 2
    low = style in ("sports", "open")
    floor, belt = 0.24, b.uniform(0.74, 0.84) if low else b.uniform(0.86, 1.02)
    nose = belt * (b.uniform(0.62, 0.75) if low else b.uniform(0.8, 0.9))
    body = [
        (-h, floor),
        (-h * 1.02, nose * 0.6),
        (-h * 0.96, nose),
        (-h * 0.4, belt),
        (h * 0.85, belt),
        (h, belt * 0.88),
        (h, floor),
    ]
    b.prism("body", body, width, rot=UPRIGHT_X)
    if style == "open":
        b.prism(
            "windows",
            [(-h * 0.34, belt - 0.1), (-h * 0.14, belt + 0.36), (-h * 0.04, belt + 0.36), (-h * 0.2, belt - 0.1)],
            width * 0.88,
            rot=UPRIGHT_X,
        )
        for x in (-0.22, 0.22):
            b.box("seats", (0.5, 0.18, 0.5), (x * width, h * 0.16, belt + 0.15), (-12, 0, 0))
        b.box("seats", (width * 0.75, 0.2, 0.36), (0, h * 0.52, belt + 0.1), (-12, 0, 0))
        b.phrase("without a roof")
    else:
        foot, front, back, rear, rise = _CABINS[style]
        roof = belt + rise * b.uniform(0.9, 1.15)
        b.prism(
            "windows",
            [(h * foot, belt - 0.02), (h * front, roof), (h * back, roof), (h * rear, belt - 0.02)],
            width * 0.86,
            rot=UPRIGHT_X,
        )
        b.box("body", (width * 0.9, h * (back - front) + 0.16, 0.13), (0, h * (front + back) / 2, roof + 0.02))
        for y in (0.1, 0.62) if style == "estate" else (0.1,):
            b.box("body", (width * 0.9, 0.14, roof - belt), (0, h * y, (roof + belt) / 2))
    for y in (-h * 0.62, h * 0.6):
        axle(b, width * 0.45, y, wheel, 0.32)
    headlights(b, width * 0.34, -h, nose * 0.78, 0.16)
    b.box("bumpers", (width * 1.02, 0.16, 0.18), (0, -h * 1.0, floor + 0.12))
    b.box("bumpers", (width * 1.02, 0.16, 0.18), (0, h, floor + 0.12))
    if style == "sports":
        b.box("body", (width * 0.95, 0.3, 0.1), (0, h * 0.88, belt + 0.28), (8, 0, 0))
        for x in (-0.35, 0.35):
            b.box("body", (0.12, 0.16, 0.4), (x * width, h * 0.86, belt + 0.1))
        b.phrase("with a spoiler")
    b.adjective("long" if length > 4.5 else "small" if length < 3.6 else "")


CAR = Family(
    "car",
    "vehicles",
    ("car", "automobile"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        WHEELS,
        HUBS,
        LIGHTS,
        Slot("bumpers", (*METAL, "black")),
        Slot("seats", ("brown", "black", "beige", "red"), "seats", paint=0.2),
    ),
    _car,
)


def _cab(b: Builder, front: float, length: float, width: float, floor: float, height: float) -> None:
    """A lorry's cab over its engine, with glass before and at the sides; `front` is its least y."""
    top, middle = floor + height, front + length / 2
    b.prism(
        "body",
        [
            (front, floor),
            (front, floor + height * 0.5),
            (front + length * 0.16, top),
            (front + length, top),
            (front + length, floor),
        ],
        width,
        rot=UPRIGHT_X,
    )
    b.box(
        "windows", (width * 0.84, 0.16, height * 0.36), (0, front + length * 0.07, floor + height * 0.72), (-18, 0, 0)
    )
    b.box("windows", (width * 1.03, length * 0.46, height * 0.34), (0, middle + length * 0.04, floor + height * 0.72))
    b.box("bumpers", (width * 1.02, 0.25, height * 0.14), (0, front, floor + height * 0.06))
    headlights(b, width * 0.36, front, floor + height * 0.26, 0.17)


def _truck(b: Builder) -> None:
    width, wheel = b.uniform(2.1, 2.5), b.uniform(0.5, 0.62)
    cab, load = b.uniform(1.6, 2.0), b.uniform(3.2, 5.4)
    front, floor = -(cab + load) / 2, wheel * 0.9
    rear = -front + 0.15
    height, tall = b.uniform(1.9, 2.3), b.uniform(2.0, 2.8)
    _cab(b, front, cab, width, floor, height)
    b.box("chassis", (width * 0.6, cab + load, 0.3), (0, 0.1, floor))
    middle, deck = (front + cab + rear) / 2 + 0.08, floor + 0.1
    kind = b.choice(("box", "box", "tank", "open"))
    if kind == "box":
        b.box("box", (width * 1.06, load, tall), (0, middle, deck + tall / 2))
    elif kind == "tank":
        radius = width * 0.52
        b.cylinder("tank", radius, load * 0.92, (0, middle, deck + radius), (90, 0, 0))
        for y in (-0.46, 0.46):
            b.ellipsoid("tank", (radius, 0.3, radius), (0, middle + load * y, deck + radius))
        b.cylinder("tank", 0.35, 0.3, (0, middle, deck + 2 * radius))
        b.phrase("with a tank")
    else:
        side = b.uniform(0.8, 1.1)
        b.box("bed", (width, load, 0.2), (0, middle, deck + 0.1))
        for x in (-0.5, 0.5):
            b.box("bed", (0.2, load, side), (x * width, middle, deck + side / 2))
        for y in (-0.49, 0.49):
            b.box("bed", (width, 0.2, side), (0, middle + load * y, deck + side / 2))
        b.phrase("with an open bed")
    axle(b, width * 0.44, front + cab * 0.55, wheel, 0.45)
    for y in (rear - wheel * 1.5, rear - wheel * 3.7)[: 2 if load > 4 else 1]:
        axle(b, width * 0.44, y, wheel, 0.45)
    b.adjective("long" if load > 4.7 else "short" if load < 3.6 else "")


TRUCK = Family(
    "truck",
    "vehicles",
    ("truck", "lorry"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        Slot("box", ("white", "silver", "grey"), "a cargo box", paint=0.3),
        Slot("tank", ("white", "silver"), "a tank", paint=0.3),
        Slot("bed", ("brown", "grey", "wooden"), "a bed", paint=0.3),
        WHEELS,
        HUBS,
        LIGHTS,
        Slot("bumpers", (*METAL, "black")),
        Slot("chassis", DARK),
    ),
    _truck,
)


def _pickup(b: Builder) -> None:
    width, wheel = b.uniform(1.8, 2.1), b.uniform(0.44, 0.54)
    bonnet, cab, bed = b.uniform(1.2, 1.5), b.uniform(1.2, 1.7), b.uniform(1.5, 2.0)
    h, floor = (bonnet + cab + bed) / 2, wheel * 0.8
    belt, roof = floor + b.uniform(0.65, 0.75), floor + b.uniform(1.4, 1.6)
    start, end = -h + bonnet, h - bed
    b.prism(
        "body", [(-h, floor), (-h, belt - 0.06), (start, belt + 0.03), (end, belt), (end, floor)], width, rot=UPRIGHT_X
    )
    b.prism(
        "windows",
        [(start - 0.1, belt), (start + 0.32, roof), (end - 0.05, roof), (end, belt)],
        width * 0.88,
        rot=UPRIGHT_X,
    )
    b.box("body", (width * 0.92, end - start - 0.2, 0.14), (0, (start + end) / 2 + 0.12, roof))
    b.box("body", (width * 0.92, 0.16, roof - belt), (0, end - 0.08, (roof + belt) / 2))
    b.box("body", (width, bed, 0.25), (0, h - bed / 2, floor + 0.12))
    for x in (-0.46, 0.46):
        b.box("body", (0.16, bed, belt - floor), (x * width, h - bed / 2, (belt + floor) / 2))
    b.box("body", (width, 0.16, belt - floor), (0, h - 0.08, (belt + floor) / 2))
    b.box("bumpers", (width * 1.03, 0.22, 0.22), (0, -h, floor + 0.11))
    b.box("bumpers", (width * 0.5, 0.1, 0.24), (0, -h, belt - 0.25))
    headlights(b, width * 0.37, -h, belt - 0.25, 0.15)
    for y in (-h + bonnet * 0.55, h - bed * 0.5):
        axle(b, width * 0.46, y, wheel, 0.36)


PICKUP = Family(
    "pickup truck",
    "vehicles",
    ("pickup truck", "pickup", "truck"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        WHEELS,
        HUBS,
        LIGHTS,
        Slot("bumpers", (*METAL, "black")),
    ),
    _pickup,
)


def _bus(b: Builder) -> None:
    double = b.chance(0.3)
    length, width = b.uniform(6.5, 8.5) if double else b.uniform(6.5, 10.5), b.uniform(2.3, 2.6)
    height, floor, wheel = 4.1 if double else b.uniform(2.3, 2.7), 0.4, b.uniform(0.5, 0.6)
    b.box("body", (width, length, height), (0, 0, floor + height / 2))
    b.box(b.choice(("body", "roof")), (width * 0.86, length * 0.96, 0.3), (0, 0, floor + height + 0.05))
    count = round(length / 1.7)
    pitch = length * 0.94 / count
    for z in (floor + 1.55, floor + 3.3) if double else (floor + height * 0.66,):
        for i in range(count):
            b.box("windows", (width * 1.04, pitch * 0.74, 0.9), (0, (i - (count - 1) / 2) * pitch, z))
        b.box("windows", (width * 0.86, 0.2, 1.0), (0, -length / 2, z))
    b.box("stripe", (width * 1.03, length * 1.01, 0.28), (0, 0, floor + 0.55))
    for y in (-0.34, 0.32):
        axle(b, width * 0.46, y * length, wheel, 0.4)
    headlights(b, width * 0.36, -length / 2, floor + 0.55, 0.2)
    if double:
        b.adjective("double-decker")
    else:
        b.adjective("long" if length > 9.3 else "short" if length < 7.3 else "")


BUS = Family(
    "bus",
    "vehicles",
    ("bus", "coach"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        Slot("stripe", ("white", "grey", "black"), "a stripe", paint=0.3),
        Slot("roof", ("white", "grey"), "a roof", paint=0.2),
        WHEELS,
        HUBS,
        LIGHTS,
    ),
    _bus,
)


def _tractor(b: Builder) -> None:
    big, small = b.uniform(0.8, 1.0), b.uniform(0.42, 0.55)
    bonnet, cab = b.uniform(1.7, 2.1), b.uniform(1.05, 1.25)
    y0 = -(bonnet + cab) / 2
    y1, y2 = y0 + bonnet, y0 + bonnet + cab
    floor, belt = 0.6, 1.35
    b.prism(
        "body",
        [(y0, floor), (y0, belt - 0.12), (y0 + 0.2, belt), (y1 + 0.1, belt + 0.06), (y1 + 0.1, floor)],
        0.8,
        rot=UPRIGHT_X,
    )
    b.box("grille", (0.62, 0.12, 0.5), (0, y0, floor + 0.3))
    b.box("body", (1.0, cab, 0.7), (0, (y1 + y2) / 2, floor + 0.25))
    roof = b.uniform(2.25, 2.5)
    covered = b.chance(0.75)
    if covered:
        b.prism("windows", [(y1, 1.1), (y1 + 0.1, roof), (y2 - 0.1, roof), (y2, 1.1)], 1.1, rot=UPRIGHT_X)
        b.box("body", (1.35, cab + 0.15, 0.18), (0, (y1 + y2) / 2, roof + 0.05))
        for y in (y1 + 0.06, y2 - 0.06):
            for x in (-0.53, 0.53):
                b.box("body", (0.14, 0.14, roof - 1.0), (x, y, (roof + 1.0) / 2))
    else:
        b.box("seat", (0.6, 0.55, 0.18), (0, y2 - 0.4, 1.1))
        b.box("seat", (0.6, 0.16, 0.6), (0, y2 - 0.15, 1.35), (-8, 0, 0))
        b.torus("seat", 0.26, 0.06, (0, y1 + 0.12, 1.65), (40, 0, 0))
        b.rod("seat", (0, y1, 1.3), (0, y1 + 0.12, 1.65), 0.07)
        b.phrase("without a cab")
    b.rod("grille", (0.22, y0 + bonnet * 0.5, belt - 0.1), (0.22, y0 + bonnet * 0.5, belt + b.uniform(0.6, 0.9)), 0.08)
    for x in (-0.85, 0.85):
        _wheel(b, x, y2 - 0.45, big, 0.48, "hubs")
        b.box("body", (0.6, big * 0.9, 0.14), (x * 0.94, y2 - 0.45, 2 * big + 0.03))
        _wheel(b, x * 0.75, y0 + small * 0.9, small, 0.34, "hubs")
    b.rod("grille", (-0.6, y0 + small * 0.9, small), (0.6, y0 + small * 0.9, small), 0.12)
    b.rod("grille", (-0.7, y2 - 0.45, big), (0.7, y2 - 0.45, big), 0.12)
    headlights(b, 0.3, y0, belt - 0.2, 0.12)


TRACTOR = Family(
    "tractor",
    "vehicles",
    ("tractor", "farm tractor"),
    (
        Slot("body", PAINT),
        Slot("windows", GLASS, "windows"),
        WHEELS,
        Slot("hubs", ("yellow", "red", "white", "grey")),
        Slot("seat", DARK),
        Slot("grille", DARK),
        LIGHTS,
    ),
    _tractor,
)

FAMILIES: tuple[Family, ...] = (CAR, TRUCK, PICKUP, BUS, TRACTOR)
