"""People and those who are like them. They look along -y and stand on z = 0; a person is about 1.7 high."""

from __future__ import annotations

from enpointe.data.procedural.colors import DARK, METAL
from enpointe.data.procedural.family import Builder, Family, Slot

BOTH = (-1, 1)
CLOTH = (
    "red",
    "blue",
    "green",
    "yellow",
    "white",
    "black",
    "grey",
    "purple",
    "pink",
    "orange",
    "light blue",
    "dark blue",
)
TROUSERS = ("blue", "dark blue", "black", "grey", "brown", "beige")
HAIR = ("brown", "black", "golden", "orange", "grey")
SKIN = ("skin", "skin", "brown", "beige")


def _arms(b: Builder, sleeve: str, shoulder: float, high: float, thick: float) -> None:
    """Two arms, often hanging, sometimes spread or one of them raised; the forearm and hand are skin."""
    pose = b.choice(("down", "down", "down", "spread", "wave", "up"))
    for side in BOTH:
        raised = pose == "up" or (pose == "wave" and side == -1)
        if raised:
            reach, lift = 0.24, 0.26
        elif pose == "spread":
            reach, lift = 0.3, 0.0
        else:
            reach, lift = 0.1, -0.28
        start = (side * shoulder, 0.0, high)
        elbow = (side * (shoulder + reach), 0.0, high + lift * 0.95)
        hand = (side * (shoulder + reach * (1.35 if raised else 1.9)), -0.03, high + lift * 1.9)
        b.limb(sleeve, start, elbow, thick)
        b.limb("skin", elbow, hand, thick * 0.82)
        b.ball("skin", thick * 1.15, hand)
    if pose == "spread":
        b.phrase("with arms spread")
    elif pose == "wave":
        b.adjective("waving")
    elif pose == "up":
        b.phrase("with raised arms")


def _head(b: Builder, z: float, size: float) -> None:
    b.cylinder("skin", size * 0.5, size * 0.9, (0, 0, z - size * 1.05))
    b.ellipsoid("skin", (size * 0.88, size * 0.92, size * 1.08), (0, 0, z))
    for side in BOTH:
        b.ball("eyes", size * 0.16, (side * size * 0.34, -size * 0.85, z + size * 0.12))


def _person(b: Builder) -> None:
    leg, torso, girth = b.uniform(0.68, 0.85), b.uniform(0.52, 0.62), b.uniform(0.19, 0.27)
    size, thick = b.uniform(0.15, 0.18), b.uniform(0.062, 0.078)
    hip = leg + 0.05
    for side in BOTH:
        foot = side * b.uniform(0.11, 0.17)
        b.limb("trousers", (side * 0.1, 0, hip), (foot, 0, 0.14), thick * 1.3)
        b.ellipsoid("shoes", (0.085, 0.16, 0.075), (foot, -0.05, 0.075))
    b.ellipsoid("trousers", (girth * 0.95, girth * 0.68, 0.16), (0, 0, hip))
    top = leg + torso
    b.limb("shirt", (0, 0, hip + 0.15), (0, 0, top - girth * 0.5), girth * 0.75)
    b.ellipsoid("shirt", (girth * 1.12, girth * 0.7, torso * 0.42), (0, 0, top - torso * 0.42))
    _arms(b, "shirt", girth * 1.02, top - 0.1, thick)
    z = top + size * 1.25
    _head(b, z, size)
    if b.chance(0.3):
        b.cylinder("hat", size * 1.55, size * 0.3, (0, 0, z + size * 0.55))
        b.cylinder("hat", size * 0.98, size * 0.95, (0, 0, z + size * 1.05), top=size * 0.85)
        b.phrase("with a hat")
    else:
        b.ellipsoid("hair", (size * 0.98, size * 0.95, size * 0.95), (0, size * 0.22, z + size * 0.35))
    b.adjective("fat" if girth > 0.255 else "thin" if girth < 0.2 else "")


def _woman(b: Builder) -> None:
    leg, torso, wide = b.uniform(0.62, 0.75), b.uniform(0.48, 0.56), b.uniform(0.3, 0.4)
    size, thick = b.uniform(0.15, 0.18), b.uniform(0.056, 0.068)
    hem, waist, top = b.uniform(0.22, 0.42), leg + 0.12, leg + torso
    for side in BOTH:
        b.limb("skin", (side * 0.1, 0, hem + 0.1), (side * 0.11, 0, 0.12), thick * 1.15)
        b.ellipsoid("shoes", (0.08, 0.15, 0.07), (side * 0.11, -0.04, 0.07))
    b.cylinder("dress", wide, waist - hem, (0, 0, (waist + hem) / 2), top=0.145)
    b.cylinder("dress", 0.145, top - waist - 0.04, (0, 0, (top + waist) / 2 - 0.02), top=0.18)
    b.ellipsoid("dress", (0.2, 0.15, 0.1), (0, 0, top - 0.05))
    _arms(b, "dress", 0.18, top - 0.07, thick)
    z = top + size * 1.25
    _head(b, z, size)
    b.ellipsoid("hair", (size * 1.02, size, size), (0, size * 0.22, z + size * 0.32))
    long = b.uniform(0.25, 0.5)
    b.limb("hair", (0, size * 0.7, z), (0, size * 0.85, z - long), size * 0.62)
    for side in BOTH:
        b.limb(
            "hair",
            (side * size * 0.75, size * 0.35, z + size * 0.1),
            (side * size * 0.85, size * 0.45, z - long * 0.7),
            size * 0.34,
        )
    b.phrase("with long hair")


def _robot(b: Builder) -> None:
    wide, deep, torso, leg = b.uniform(0.5, 0.7), b.uniform(0.32, 0.45), b.uniform(0.55, 0.75), b.uniform(0.35, 0.55)
    low = leg + 0.1
    b.box("body", (wide, deep, torso), (0, 0, low + torso / 2))
    head, tall = wide * b.uniform(0.6, 0.85), b.uniform(0.3, 0.4)
    top = low + torso
    b.cylinder("joints", 0.1, 0.2, (0, 0, top + 0.04))
    z = top + 0.1 + tall / 2
    b.box("body", (head, deep * 0.95, tall), (0, 0, z))
    for side in BOTH:
        b.rod("eyes", (side * head * 0.24, -deep * 0.3, z + 0.04), (side * head * 0.24, -deep * 0.56, z + 0.04), 0.075)
        b.rod("joints", (side * head * 0.4, 0, z), (side * (head * 0.5 + 0.08), 0, z), 0.08)
    b.box("joints", (head * 0.6, 0.06, 0.07), (0, -deep * 0.48, z - tall * 0.28))
    antennas = b.choice((0, 1, 1, 2))
    for x in ((), (0.0,), (-0.3, 0.3))[antennas]:
        b.rod("joints", (x * head, 0, z + tall * 0.4), (x * head, 0, z + tall * 0.5 + 0.17), 0.035)
        b.ball("eyes", 0.07, (x * head, 0, z + tall * 0.5 + 0.2))
    if antennas:
        b.phrase("with an antenna" if antennas == 1 else "with two antennas")
    b.box("panel", (wide * 0.55, 0.08, torso * 0.42), (0, -deep * 0.5, low + torso * 0.55))
    raised = b.chance(0.25)
    for side in BOTH:
        x = side * (wide / 2 + 0.06)
        b.ball("joints", 0.12, (x, 0, top - 0.14))
        hand = (side * (wide / 2 + 0.26), -0.05, top + 0.3) if raised else (side * (wide / 2 + 0.16), -0.1, low + 0.02)
        b.limb("joints", (x, 0, top - 0.14), hand, 0.075)
        b.box("body", (0.17, 0.2, 0.2), hand)
        b.cylinder("joints", 0.1, leg, (side * wide * 0.27, 0, low - leg / 2 + 0.06))
        b.box("body", (wide * 0.4, deep * 1.1, 0.18), (side * wide * 0.27, -deep * 0.1, 0.09))
    if raised:
        b.phrase("with raised arms")


def _snowman(b: Builder) -> None:
    low = b.uniform(0.42, 0.5)
    mid, head = low * b.uniform(0.68, 0.78), low * b.uniform(0.48, 0.56)
    b.ellipsoid("snow", (low, low, low * 0.92), (0, 0, low * 0.9))
    z = low * 1.6 + mid * 0.72
    b.ball("snow", mid, (0, 0, z))
    top = z + mid * 0.8 + head * 0.75
    b.ball("snow", head, (0, 0, top))
    b.rod("nose", (0, -head * 0.85, top), (0, -head * 0.9 - b.uniform(0.22, 0.32), top - 0.02), 0.065, 0.012)
    for side in BOTH:
        b.ball("coal", 0.045, (side * head * 0.38, -head * 0.84, top + head * 0.34))
        b.limb("arms", (side * mid * 0.85, 0, z + 0.05), (side * (mid + 0.38), 0, z + b.uniform(0.15, 0.35)), 0.04)
    for height in (-0.3, 0.1, 0.5):
        b.ball("coal", 0.05, (0, -mid * (1 - height * height) ** 0.5, z + height * mid))
    if b.chance(0.7):
        b.torus("scarf", head * 0.85, 0.085, (0, 0, top - head * 0.78))
        b.limb(
            "scarf", (head * 0.5, -head * 0.75, top - head * 0.85), (head * 0.55, -mid * 0.98, z + mid * 0.05), 0.075
        )
        b.phrase("with a scarf")
    if b.chance(0.75):
        b.cylinder("hat", head * 1.15, 0.09, (0, 0, top + head * 0.68))
        b.cylinder("hat", head * 0.72, head * 1.2, (0, 0, top + head * 1.2))
        b.phrase("with a hat")


PERSON = Family(
    "person",
    "people",
    ("man", "person", "guy", "human figure"),
    (
        Slot("shirt", CLOTH, "a shirt", paint=0.2),
        Slot("trousers", TROUSERS, "trousers", paint=0.3),
        Slot("skin", SKIN),
        Slot("hair", HAIR, "hair"),
        Slot("hat", ("black", "brown", "red", "blue", "yellow"), paint=0.2),
        Slot("shoes", (*DARK, "brown", "white"), "shoes", paint=0.1),
        Slot("eyes", ("black",)),
    ),
    _person,
)
WOMAN = Family(
    "woman",
    "people",
    ("woman", "girl", "lady", "woman in a dress"),
    (
        Slot("dress", CLOTH, "a dress", paint=0.2),
        Slot("hair", HAIR, "hair", paint=0.05),
        Slot("skin", SKIN),
        Slot("shoes", (*DARK, "red", "white"), "shoes", paint=0.1),
        Slot("eyes", ("black",)),
    ),
    _woman,
)
ROBOT = Family(
    "robot",
    "people",
    ("robot", "android", "toy robot"),
    (
        Slot("body", (*METAL, "white", "blue", "red", "yellow"), paint=0.35),
        Slot("joints", ("dark grey", "black", "grey")),
        Slot("eyes", ("red", "yellow", "light blue", "green"), "eyes", paint=0.1),
        Slot("panel", ("light blue", "red", "yellow", "dark grey"), paint=0.2),
    ),
    _robot,
)
SNOWMAN = Family(
    "snowman",
    "people",
    ("snowman", "snow man"),
    (
        Slot("snow", ("white",), paint=0.1),
        Slot("hat", ("black", "black", "brown", "red"), paint=0.2),
        Slot("scarf", ("red", "blue", "green", "yellow"), paint=0.3),
        Slot("nose", ("orange",), "a nose"),
        Slot("arms", ("brown",)),
        Slot("coal", ("black",)),
    ),
    _snowman,
)

FAMILIES: tuple[Family, ...] = (PERSON, WOMAN, ROBOT, SNOWMAN)
