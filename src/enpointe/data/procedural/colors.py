"""The color and material words that captions use, and the colors that they stand for."""

from __future__ import annotations

import colorsys

import numpy as np

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.10, 0.10),
    "orange": (0.96, 0.52, 0.08),
    "yellow": (0.97, 0.85, 0.12),
    "green": (0.15, 0.62, 0.20),
    "blue": (0.12, 0.28, 0.85),
    "purple": (0.50, 0.16, 0.68),
    "pink": (0.97, 0.50, 0.70),
    "brown": (0.45, 0.26, 0.12),
    "black": (0.07, 0.07, 0.08),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.52, 0.52, 0.53),
    "light blue": (0.48, 0.74, 0.95),
    "dark blue": (0.05, 0.09, 0.38),
    "light green": (0.58, 0.88, 0.48),
    "dark green": (0.04, 0.30, 0.10),
    "dark red": (0.45, 0.03, 0.05),
    "turquoise": (0.12, 0.76, 0.74),
    "beige": (0.90, 0.82, 0.66),
    "dark grey": (0.24, 0.24, 0.26),
    "golden": (0.87, 0.67, 0.20),
    "silver": (0.76, 0.77, 0.79),
    "wooden": (0.62, 0.42, 0.22),
    "metal": (0.60, 0.62, 0.65),
    "stone": (0.58, 0.56, 0.51),
    "brick": (0.66, 0.29, 0.20),
    "skin": (0.90, 0.71, 0.58),
}

PAINT = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey",
    "light blue", "dark blue", "light green", "dark green", "dark red", "turquoise", "beige", "golden",
)  # fmt: skip
"""What anything may be painted with."""
DARK = ("black", "dark grey")
MATERIALS = ("silver", "wooden", "metal", "stone", "brick")
"""The words above that name what a thing is made of."""
METAL = ("silver", "grey", "dark grey", "metal")
WOOD = ("brown", "wooden")
FUR = ("brown", "black", "white", "grey", "golden", "orange", "beige")
LEAF = ("green", "dark green", "light green")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet", "bright red"),
    "grey": ("gray",),
    "dark grey": ("dark gray",),
    "purple": ("violet",),
    "turquoise": ("cyan", "teal"),
    "golden": ("gold",),
    "dark blue": ("navy",),
    "light blue": ("sky blue",),
    "light green": ("lime",),
    "dark red": ("maroon",),
    "beige": ("cream",),
    "wooden": ("wood",),
    "metal": ("steel", "iron"),
}


def shade(name: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """One RGB color in [0, 1] that a person would still call `name`."""
    h, s, v = colorsys.rgb_to_hsv(*COLORS[name])
    h = (h + rng.normal(0, 0.008)) % 1
    s = float(np.clip(s * rng.normal(1, 0.07), 0, 1))
    v = float(np.clip(v + rng.normal(0, 0.03), 0, 1))
    return colorsys.hsv_to_rgb(h, s, v)
