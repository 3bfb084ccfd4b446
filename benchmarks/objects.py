"""Fresh objects of the procedural families."""

from __future__ import annotations

import numpy as np

from enpointe.data.captions import caption, draw_paint
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.geometry.point_cloud import PointCloud


def example(name: str, n_points: int, rng: np.random.Generator) -> tuple[PointCloud, str]:
    """A new object of a family, painted, and its caption."""
    family = FAMILIES[name]
    assembly, paint = family.assemble(rng), draw_paint(family, rng)
    surface = sample_surface(assembly, n_points, rng)
    slots = [assembly.parts[part].slot for part in surface.part]
    rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
    colors = np.array([rgb[slot] for slot in slots], dtype=np.float32)
    return PointCloud(surface.points.astype(np.float32), colors), caption(
        family, paint, set(slots), assembly.adjectives, assembly.phrases, rng
    )
