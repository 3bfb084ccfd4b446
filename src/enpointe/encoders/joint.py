"""Texts and images side by side: which text says what is seen, with the embedded joint model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.encoders.efficientnet import ImageEncoder, checked
from enpointe.encoders.minilm import TextEncoder
from enpointe.geometry.checks import Floats
from enpointe.nn.efficientnet import image_features
from enpointe.nn.joint import JointHeads

BATCH = 32
"""Texts in one pass, and images whose features are held at once."""


@dataclass(frozen=True)
class JointSpace:
    """One space for texts and images: rows of unit length, whose products are cosines.

    It knows what renders of single objects on a light ground look like (`render.software.perspective`), and the things
    that it was taught; see assets/README.md.

    Attributes:
        texts, images: frozen encoders.
        heads: what brings the features of both into one space.
        name: of the model, for reports.
        quality: what was measured on held-out objects, as the weight file tells it.
    """

    texts: TextEncoder
    images: ImageEncoder
    heads: JointHeads
    name: str = "pocket-joint"
    quality: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.heads.texts.output.out_features

    @property
    def scale(self) -> float:
        """What cosines are multiplied by to become logits of which text it is."""
        return float(self.heads.scale)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, width) float32 unit rows.

        Raises:
            InputError: no text, or something else than a sequence of texts.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError("texts: expected a sequence of texts, found something else")
        if len(texts) == 0:
            raise InputError("texts: expected at least one, found none")
        rows = []
        for start in range(0, len(texts), BATCH):
            pooled, _, _ = self.texts.encode(texts[start : start + BATCH])
            rows.append(self.heads.texts(pooled).cpu().numpy())
        return np.concatenate(rows)

    @torch.inference_mode()
    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """Images (h, w, 3) uint8 -> (n, width) float32 unit rows; see `ImageEncoder.encode` on sizes.

        Raises:
            InputError: no image, or something else than one.
        """
        checked(images)
        rows = []
        for start in range(0, len(images), BATCH):
            sights = self.images.encode(images[start : start + BATCH])
            rows.append(self.heads.pictures(image_features(sights)).cpu().numpy())
        return np.concatenate(rows)
