"""Captioned pictures of training examples, of the procedural families or of a pool's objects."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from enpointe.data.captions import caption, draw_paint
from enpointe.data.pools.pool import Example, Pool
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.render.plot import splat

COLUMNS, ROWS = 6, 8
SIDE, MARGIN = 200, 44
"""Pixels of a picture, and of the room for its caption."""


def contact_sheet(examples: Sequence[Example]) -> NDArray[np.uint8]:
    """(height, width, 3): COLUMNS pictures in a row, turned to the left and to the right by turns."""
    rows = -(-len(examples) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, example in enumerate(examples):
        row, column = divmod(i, COLUMNS)
        x, y = column * SIDE, row * (SIDE + MARGIN)
        picture = splat(example.points, example.colors, 35 - 70 * (column % 2), 20, SIDE)
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.text((x + 4, y + SIDE), textwrap.fill(example.caption, 31), fill="black")
    return np.asarray(sheet)


def of_families(names: Sequence[str], seed: int) -> list[Example]:
    """COLUMNS new things of each family."""
    examples = []
    for row, name in enumerate(names):
        family = FAMILIES[name]
        for column in range(COLUMNS):
            rng = np.random.default_rng([seed, row, column])
            assembly, paint = family.assemble(rng), draw_paint(family, rng)
            surface = sample_surface(assembly, 4096, rng)
            slots = [assembly.parts[part].slot for part in surface.part]
            rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
            colors = np.array([rgb[slot] for slot in slots], dtype=np.float32)
            words = caption(family, paint, set(slots), assembly.adjectives, assembly.phrases, rng)
            examples.append(Example(surface.points.astype(np.float32), colors, words, name))
    return examples


def of_pool(pool: Pool, seed: int) -> list[Example]:
    """COLUMNS x ROWS random objects, or all; up to half of them real models, which come last."""
    rng = np.random.default_rng(seed)
    shuffled = [int(i) for i in rng.permutation(len(pool))]
    procedural = [i for i in shuffled if pool.model(i) is None]
    real = [i for i in shuffled if pool.model(i) is not None]
    size = COLUMNS * ROWS
    shown = real[: max(size // 2, size - len(procedural))]
    chosen = procedural[: size - len(shown)] + shown
    return [pool.draw(i, pool.points.shape[1], rng) for i in chosen]
