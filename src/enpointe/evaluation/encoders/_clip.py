"""CLIP as an encoder of texts and images; imported when one is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.clip import BATCH, Clip, Release, clip
from enpointe.evaluation.encoders import ImageTextEncoder
from enpointe.geometry.checks import Floats


@dataclass(frozen=True)
class ClipEncoder(ImageTextEncoder):
    """CLIP's projected text and image vectors (arXiv 2103.00020)."""

    clip: Clip
    name: str
    note: str
    quality: Mapping[str, Any] = field(default_factory=dict)
    score_title: str = "CLIP score"

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """See `ImageTextEncoder`; a text is cut at 77 tokens."""
        return self._array(self.clip.texts(texts))

    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """See `ImageTextEncoder`; images are prepared as CLIP's own were."""
        if len(images) == 0:
            raise InputError("images: expected at least one, found none")
        parts = [
            self._array(self.clip.images([Image.fromarray(image) for image in images[start : start + BATCH]]))
            for start in range(0, len(images), BATCH)
        ]
        return np.concatenate(parts)

    @staticmethod
    def _array(vectors: torch.Tensor) -> Floats:
        array: Floats = vectors.cpu().numpy()
        return array


def load_clip(name: str, release: Release, patch: int, device: torch.device) -> ClipEncoder:
    """See `load_encoder`; WeightsError, too, for files of a CLIP with other patches."""
    network = clip(device, release)
    found = network.model.config.vision_config.patch_size
    if found != patch:
        raise WeightsError(f"{release.name}: expected patches of {patch} pixels, found a CLIP with patches of {found}")
    return ClipEncoder(network, name, f"R-Precision through {release.name}")
