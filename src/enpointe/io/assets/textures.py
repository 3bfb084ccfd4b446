"""Pictures of downloaded models as pixels."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.io.assets.files import Files, MissingFileError
from enpointe.io.assets.limits import AssetLimits

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "GIF", "TIFF", "DDS")
"""Those that models come with; others that the library knows call further programs."""
_GLASS = 0.02


def fetch_texture(files: Files, name: str, limits: AssetLimits, *, strict: bool) -> NDArray[np.uint8] | None:
    """`read_texture` of a file. Where not `strict`, None in place of one that is missing or damaged.

    Raises:
        InputError: it lies outside the folder, or is too large; where `strict`, also missing or damaged.
    """
    try:
        data = files.get(name)
    except MissingFileError:
        if strict:
            raise
        return None
    try:
        return read_texture(data, name, limits)
    except DamagedTextureError:
        if strict:
            raise
        return None


class DamagedTextureError(InputError):
    """A texture's bytes are no picture."""


def read_texture(data: bytes, name: str, limits: AssetLimits, *, shrink: bool = True) -> NDArray[np.uint8]:
    """RGBA pixels (h, w, 4), neither side above `limits.texture_side` unless not to `shrink`.

    One that is transparent nearly everywhere is glass: it keeps its colour.

    Raises:
        InputError: the bytes are no picture, or one of too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is our own
            picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
        if not 0 < width * height <= limits.pixels:
            raise InputError(
                f"{name!r}: expected a texture of at most {limits.pixels} pixels, found {width} x {height}"
            )
        side = limits.texture_side
        if shrink:
            picture.draft("RGB", (side, side))  # JPEG decodes at a fraction of its size for less
        picture = _eight_bits(picture).convert("RGBA")
        if shrink and max(picture.size) > side:
            picture.thumbnail((side, side))
        pixels = np.array(picture)
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name!r}: expected a texture of at most {limits.pixels} pixels, found {error}") from error
    except Exception as error:
        raise DamagedTextureError(f"{name!r}: expected a picture, found {error!r:.200}") from error
    if (pixels[..., 3] >= 128).mean() < _GLASS:
        pixels[..., 3] = 255
    return pixels


def mean_color(texture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3,) sRGB in [0, 1]: the mean over a texture (h, w, 4), whatever its coverage."""
    total = texture.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.uint64)  # whole rows are added fastest
    count = texture.shape[0] * texture.shape[1]
    return (total[:3] / count / 255).astype(np.float32)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Greys of 16 bits, which the library would cut off at 255."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
