"""Images: read from files that may be anything, and as CLIP's image encoder takes them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from enpointe.core.errors import InputError

MAX_PIXELS = 64_000_000
"""A phone's largest images fit; a decoded image of this size takes 256 MB for each copy."""
MIN_SIDE = 16
"""Below it an image is a placeholder or an icon, not a view of an object."""
MAX_ASPECT = 64
"""Long side over short side. The resize to CLIP's short side would make a thin strip millions of pixels long."""

# Pillow's others are left out: some start programs (EPS), and none is what an image of an object comes as.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """An image file as 8-bit RGB, upright.

    Of an animation the first frame is taken; 16 bits per channel are scaled to 8; EXIF's rotation is applied;
    what is transparent is laid on white, the ground of the renders that the released models learned from.
    The content determines the format, never the name's suffix.

    Raises:
        InputError: the file is missing, empty, no image, truncated, damaged, or its header declares more than
            MAX_PIXELS pixels (refused before anything is decoded), a side under MIN_SIDE, a shape beyond
            MAX_ASPECT, or samples that are neither of 8 nor of 16 bits.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an image, found {'no file' if path.exists() else 'nothing'} there")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: expected an image, found an empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged file's are followed by an error, or by an image all the same
        return _decoded(path)


def clip_pixels(image: Image.Image, size: int = 224) -> Tensor:
    """An image as CLIP takes it: (3, size, size), float32, of about zero mean and unit variance.

    As in CLIP's own preprocessing, the order included: bicubic resize of the short side to `size` (the long
    side rounded down), center crop, RGB, [0, 1], then CLIP's mean and standard deviation per channel. The
    conversion to RGB is Pillow's, which drops an alpha channel; `read_image` gives images without one.

    Raises:
        InputError: a side is zero, or the shape is beyond MAX_ASPECT.
    """
    cropped = square(image, size).convert("RGB")
    pixels = torch.from_numpy(np.array(cropped)).permute(2, 0, 1).to(torch.float32) / 255
    mean, std = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_STD)
    return ((pixels - mean[:, None, None]) / std[:, None, None]).contiguous()


def square(image: Image.Image, size: int) -> Image.Image:
    """The middle of an image as a square: bicubic resize of the short side to `size`, center crop.

    Raises:
        InputError: a side is zero, or the shape is beyond MAX_ASPECT.
    """
    width, height = image.size
    _check_aspect("image", width, height)
    long = int(size * max(width, height) / min(width, height))
    width, height = (size, long) if width <= height else (long, size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    # Python rounds halves to the even number, and so does the crop that CLIP was trained with.
    left, top = round((width - size) / 2), round((height - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def _decoded(path: Path) -> Image.Image:
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]  # AVIF is younger than the oldest Pillow we allow
    try:
        image = Image.open(path, formats=known)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: expected at most {MAX_PIXELS} pixels; {error}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: expected an image ({', '.join(known)}), found something else") from error
    except Exception as error:  # damaged files fail in every way a parser can
        raise InputError(f"{path}: expected a readable image, got {error}") from error
    with image:
        _check_size(path, *image.size)
        try:
            return _opaque(_eight_bits(path, ImageOps.exif_transpose(image)))
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: expected a whole image, found a truncated or damaged one ({error})") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: expected at most {MAX_PIXELS} pixels, got {width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path}: expected at least {MIN_SIDE} pixels a side, got {width} x {height}")
    _check_aspect(str(path), width, height)


def _check_aspect(name: str, width: int, height: int) -> None:
    if not 0 < max(width, height) <= MAX_ASPECT * min(width, height):
        raise InputError(f"{name}: expected sides of a ratio up to {MAX_ASPECT}, got {width} x {height}")


def _eight_bits(path: Path, image: Image.Image) -> Image.Image:
    """Gray of 16 bits scaled to 8. (16-bit color has no mode in Pillow, which scales it while decoding.)"""
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise InputError(f"{path}: expected 8 or 16 bits per channel, got {values.dtype} values beyond them")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, with what is transparent laid on white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")
