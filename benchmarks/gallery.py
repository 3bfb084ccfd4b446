"""The README's picture: every prompt below with seeds 0 and 1, none left out.

python benchmarks/gallery.py docs/gallery.png [--nameless]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import enpointe
from enpointe.io.png import save_image
from enpointe.render.plot import views

PROMPTS = (
    "a pink motorcycle", "a red car", "a blue bicycle", "a white aeroplane",
    "a red sailboat", "a green armchair", "a wooden table", "a yellow mug",
    "a brown dog", "a grey elephant", "a green tree", "a red mushroom",
    "a white house with a red roof", "a grey castle", "a blue robot", "a brown guitar",
)  # fmt: skip
SEEDS = (0, 1)
SIDE, LABEL, COLUMNS = 220, 26, 4


def gallery(points: int, names: bool) -> np.ndarray:
    """The grid (h, w, 3) uint8: a cell for each prompt, its two seeds side by side."""
    pipeline = enpointe.load("pocket")
    rows = -(-len(PROMPTS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE * len(SEEDS), rows * (SIDE + LABEL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for i, prompt in enumerate(PROMPTS):
        x, y = (i % COLUMNS) * SIDE * len(SEEDS), (i // COLUMNS) * (SIDE + LABEL)
        for j, seed in enumerate(SEEDS):
            cloud = pipeline.generate(prompt, seed=seed, n_points=points).cloud
            sheet.paste(Image.fromarray(views(cloud, 1, SIDE, columns=1)), (x + j * SIDE, y))
        label = prompt if names else str(i + 1)
        draw.text((x + SIDE * len(SEEDS) / 2, y + SIDE + LABEL / 2), label, fill="black", font=font, anchor="mm")
    return np.asarray(sheet)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--nameless", action="store_true", help="numbers instead of prompts, for somebody who guesses")
    options = parser.parse_args()
    save_image(gallery(options.points, not options.nameless), options.out)
