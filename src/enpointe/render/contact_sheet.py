"""The contact sheet: images in rows, with captions below them where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from enpointe.core.errors import InputError

Image = NDArray[np.uint8]
"""(height, width, 3) sRGB."""

INDENT = 4
"""Pixels to the left of a caption."""


def contact_sheet(
    images: Sequence[Image],
    captions: Sequence[str] = (),
    *,
    columns: int,
    caption_height: int = 0,
    font_size: float | None = None,
    align: Literal["left", "center"] = "left",
) -> Image:
    """Images of one size (h, w, 3) in rows on white: (rows * (h + caption_height), columns * w, 3) uint8.

    What a last row lacks is white.

    Args:
        captions: one for each image, in `caption_height` pixels below it; none by default. Lines end at line breaks.
        font_size: of the captions in pixels; None for Pillow's own.
        align: captions begin at an image's left edge, below it, or stand in the middle of their room.

    Raises:
        InputError: no images, or of different sizes, or another number of captions.
    """
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or columns < 1:
        raise InputError(f"images: expected some of one size in columns, found {sorted(shapes)} in {columns}")
    if captions and len(captions) != len(images):
        raise InputError(f"captions: expected {len(images)}, found {len(captions)}")
    ((height, width, _),) = shapes
    pitch = height + caption_height
    sheet = np.full((-(-len(images) // columns) * pitch, columns * width, 3), 255, dtype=np.uint8)
    corners = [(i // columns * pitch, i % columns * width) for i in range(len(images))]
    for image, (top, left) in zip(images, corners, strict=True):
        sheet[top : top + height, left : left + width] = image
    if not captions:
        return sheet
    canvas = PIL.Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(font_size)
    for caption, (top, left) in zip(captions, corners, strict=True):
        if align == "left":
            draw.text((left + INDENT, top + height), caption, "black", font)
        else:
            middle = (left + width / 2, top + height + caption_height / 2)
            draw.text(middle, caption, "black", font, anchor="mm", align="center")
    return np.asarray(canvas)
