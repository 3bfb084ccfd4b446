"""Images as the embedded models see them: EfficientNet-Lite0 without its classes, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.encoders.images import square
from enpointe.nn.efficientnet import SIZE, EfficientNetLite0, Sights

MEAN, SCALE = 127.0, 128.0
"""Of values from 0 to 255. Other numbers than ImageNet's usual ones: with these, photographs get the classes that
they should with more certainty (see assets/README.md)."""
BATCH = 16
"""Images in one pass."""


@dataclass(frozen=True)
class ImageEncoder:
    """A frozen image encoder; the same image gives the same numbers, up to rounding whatever its batch."""

    network: EfficientNetLite0

    @torch.inference_mode()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> Sights:
        """Encode images (h, w, 3) uint8, sRGB, of whatever sizes.

        One that is not 224 x 224 is brought to 224 pixels on its short side (bicubic, antialiased) and loses what
        lies beyond the square in the middle of its long one.

        Returns:
            pooled (n, 1280), grid (n, 1280, 7, 7) and statistics of the layers below, float32; see `Sights`.

        Raises:
            InputError: no image, or something else than one.
        """
        parts = list(self._parts(checked(images)))
        return Sights(*(torch.cat(column) for column in zip(*parts, strict=True)))

    @torch.no_grad()
    def encode_views(self, views: Float[Tensor, "n 3 h w"]) -> Sights:
        """Views on the network's device, sRGB in [0, 1], `SIZE` pixels along a side or another multiple of 32."""
        return self.network(((views * 255 - MEAN) / SCALE).contiguous(memory_format=torch.channels_last))

    def _parts(self, images: Sequence[NDArray[np.uint8]]) -> Iterable[Sights]:
        device = self.network.stem.weight.device
        for start in range(0, len(images), BATCH):
            pixels = torch.stack([_pixels(image) for image in images[start : start + BATCH]])
            yield self.network(pixels.to(device, memory_format=torch.channels_last))


def checked(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
    """The images themselves.

    Raises:
        InputError: there is none, or one is not (h, w, 3) uint8.
    """
    if len(images) == 0:
        raise InputError("images: expected at least one, found none")
    for i, image in enumerate(images):
        found = np.asarray(image)
        if found.ndim != 3 or found.shape[2] != 3 or found.dtype != np.uint8 or found.size == 0:
            raise InputError(f"image {i}: expected (h, w, 3) of uint8, found {found.shape} of {found.dtype}")
    return images


def _pixels(image: NDArray[np.uint8]) -> Tensor:
    """(3, 224, 224) float32."""
    if image.shape[:2] != (SIZE, SIZE):
        image = np.array(square(Image.fromarray(image), SIZE))
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    return (pixels.to(torch.float32) - MEAN) / SCALE
