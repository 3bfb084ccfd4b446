"""What animals have in common. They look along -y and stand on z = 0; a body is about one unit long."""

from __future__ import annotations

from itertools import pairwise

from enpointe.data.procedural.family import Builder, Slot

Point = tuple[float, float, float]
BOTH = (-1, 1)
EYES = Slot("eyes", ("black",))


def taper(b: Builder, slot: str, points: list[Point], start: float, end: float) -> None:
    """Limbs through the points that thin out from radius `start` to `end`."""
    count = len(points) - 1
    for i, (one, two) in enumerate(pairwise(points)):
        b.limb(slot, one, two, start + (end - start) * i / max(count - 1, 1))


def eyes(b: Builder, x: float, y: float, z: float, radius: float, slot: str = "eyes") -> None:
    for side in BOTH:
        b.ball(slot, radius, (side * x, y, z))


def legs(b: Builder, slot: str, x: float, front: float, back: float, top: float, radius: float, foot: str = "") -> None:
    """Four straight legs from height `top`; with `foot`, feet painted in that slot."""
    for side in BOTH:
        for y in (front, back):
            if foot:
                b.cylinder(foot, radius * 1.15, radius * 1.6, (side * x, y, radius * 0.8))
            b.limb(slot, (side * x, y, radius * (1.8 if foot else 1.0)), (side * x, y, top), radius)
