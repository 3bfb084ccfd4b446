"""Textures of models as pixels."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import Files, MissingFileError
from enpointe.io.assets.limits import AssetLimits

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "GIF", "TIFF", "DDS")
"""Those that models come with; others that the library knows call further programs."""
_GLASS = 0.02


def fetch_texture(files: Files, name: str, builder: ModelBuilder) -> NDArray[np.uint8] | None:
    """`read_texture` of a file, or None where the builder does without one that is missing or damaged.

    Raises:
        InputError: it lies outside the folder, or is too large; for a strict builder, also missing or damaged.
    """
    try:
        return read_texture(files.get(name), name, builder.limits)
    except (MissingFileError, DamagedTextureError) as error:
        builder.do_without(error)
        return None


class DamagedTextureError(InputError):
    """A texture's bytes are no image that can be read here."""


def read_texture(data: bytes, name: str, limits: AssetLimits, *, shrink: bool = True) -> NDArray[np.uint8]:
    """RGBA pixels (h, w, 4), neither side above `limits.texture_side` unless not to `shrink`.

    One that is transparent nearly everywhere is glass: it keeps its color.

    Raises:
        InputError: the bytes are no image, or one of too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is our own
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if not 0 < width * height <= limits.pixels:
            raise InputError(
                f"{name!r}: expected a texture of at most {limits.pixels} pixels, found {width} x {height}"
            )
        side = limits.texture_side
        if shrink:
            image.draft("RGB", (side, side))  # JPEG decodes at a fraction of its size for less
        image = _eight_bits(image).convert("RGBA")
        if shrink and max(image.size) > side:
            image.thumbnail((side, side))
        pixels = np.array(image)
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name!r}: expected a texture of at most {limits.pixels} pixels, found {error}") from error
    except Exception as error:
        raise DamagedTextureError(f"{name!r}: expected an image, found {error!r:.200}") from error
    if (pixels[..., 3] >= 128).mean() < _GLASS:
        pixels[..., 3] = 255
    return pixels


def mean_color(texture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3,) sRGB in [0, 1]: the mean over a texture (h, w, 4), whatever its coverage."""
    total = texture.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.uint64)  # whole rows are added fastest
    count = texture.shape[0] * texture.shape[1]
    return (total[:3] / count / 255).astype(np.float32)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grays of 16 bits, which the library would cut off at 255."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
