"""The README's images: every prompt of a list below with seeds 0 and 1, none left out.

python benchmarks/gallery.py docs/gallery.png [--nameless]
python benchmarks/gallery.py docs/gallery-more.png --more
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import enpointe
from enpointe.io.png import save_image
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.orthographic import views

PROMPTS = (
    "a pink motorcycle", "a red car", "a blue bicycle", "a white aeroplane",
    "a red sailboat", "a green armchair", "a wooden table", "a yellow mug",
    "a brown dog", "a grey elephant", "a green tree", "a red mushroom",
    "a white house with a red roof", "a grey castle", "a blue robot", "a brown guitar",
)  # fmt: skip
MORE = (
    "a wooden axe", "a white bird", "a turquoise bowl", "a brown bookshelf",
    "a grey cat", "a black drum kit", "a red fish", "a white giraffe",
    "a yellow grand piano", "a red lighthouse", "a green palm tree", "a yellow pencil",
    "a pink rabbit", "a grey teapot", "a blue umbrella", "a white windmill",
)  # fmt: skip
"""Of the things that the layout and detail networks draw: about every fourth of them, in alphabetical order."""
SEEDS = (0, 1)
SIDE, LABEL, COLUMNS = 220, 26, 4


def gallery(prompts: Sequence[str], points: int, names: bool) -> np.ndarray:
    """The grid (h, w, 3) uint8: a cell for each prompt, its two seeds side by side."""
    pipeline = enpointe.load("pocket")
    images = []
    for prompt in prompts:
        clouds = [pipeline.generate(prompt, seed=seed, n_points=points).cloud for seed in SEEDS]
        images.append(contact_sheet([views(cloud, 1, SIDE) for cloud in clouds], columns=len(SEEDS)))
    labels = prompts if names else [str(i + 1) for i in range(len(prompts))]
    return contact_sheet(images, labels, columns=COLUMNS, caption_height=LABEL, font_size=16, align="center")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--nameless", action="store_true", help="numbers instead of prompts, for somebody who guesses")
    parser.add_argument("--more", action="store_true", help="the second list")
    options = parser.parse_args()
    save_image(gallery(MORE if options.more else PROMPTS, options.points, not options.nameless), options.out)
