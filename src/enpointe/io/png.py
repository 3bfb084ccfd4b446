"""Images as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix, replacing
from enpointe.core.provenance import KEY, to_json


def save_image(image: NDArray[np.uint8], path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
    """Writes (h, w, 3) or (h, w, 4) uint8 as .png, with the provenance as a text chunk.

    Raises:
        InputError: another array or suffix.
        OutputError: the file cannot be written.
    """
    from PIL import Image, PngImagePlugin

    known_suffix(Path(path), [".png"])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4) or image.size == 0:
        raise InputError(f"image: expected uint8 of shape (h, w, 3 or 4), found {image.dtype} of shape {image.shape}")
    info = PngImagePlugin.PngInfo()
    if provenance:
        info.add_text(KEY, to_json(provenance))
    with replacing(path) as file:
        Image.fromarray(image).save(file, format="PNG", pnginfo=info)
