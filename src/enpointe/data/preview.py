"""Training examples to look at, of the procedural families or of a pool's objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enpointe.data.captions import caption, draw_paint
from enpointe.data.example import Example
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface


def of_families(names: Sequence[str], n: int, seed: int) -> list[Example]:
    """`n` new objects of each family."""
    examples = []
    for row, name in enumerate(names):
        family = FAMILIES[name]
        for column in range(n):
            rng = np.random.default_rng([seed, row, column])
            assembly, paint = family.assemble(rng), draw_paint(family, rng)
            surface = sample_surface(assembly, 4096, rng)
            slots = [assembly.parts[part].slot for part in surface.part]
            rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
            colors = np.array([rgb[slot] for slot in slots], dtype=np.float32)
            words = caption(family, paint, set(slots), assembly.adjectives, assembly.phrases, rng)
            key = f"{name}/{row}/{column}"
            examples.append(Example(key, surface.points.astype(np.float32), colors, (words,)))
    return examples


def of_pool(pool: Pool, n: int, seed: int) -> list[Example]:
    """`n` random objects, or all; up to half of them real models, which come last."""
    rng = np.random.default_rng(seed)
    shuffled = [int(i) for i in rng.permutation(len(pool))]
    procedural = [i for i in shuffled if pool.model(i) is None]
    real = [i for i in shuffled if pool.model(i) is not None]
    shown = real[: max(n // 2, n - len(procedural))]
    chosen = procedural[: n - len(shown)] + shown
    return [pool.draw(i, pool.points.shape[1], rng) for i in chosen]
