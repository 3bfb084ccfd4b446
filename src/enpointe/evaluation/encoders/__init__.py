"""The encoders of R-Precision: networks that put texts and images into one space. Naming them needs no PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enpointe.core.registry import Registry
from enpointe.evaluation.choice import AUTO, Choice, chosen

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from enpointe.geometry.checks import Floats


class ImageTextEncoder(ABC):
    """Texts and images as vectors of unit length, whose products measure how well they match.

    Attributes:
        name: one of ENCODERS.
        note: what a report that uses it states about it.
        quality: what was measured of it on held-out objects; empty where that was not done here.
        score_title: what the mean product of images and their texts is called.
    """

    name: str
    note: str
    quality: Mapping[str, Any]
    score_title: str

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, d) float32 unit rows."""

    @abstractmethod
    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """Images (h, w, 3) uint8 -> (n, d) float32 unit rows."""

    def about(self) -> dict[str, Any]:
        """What a report states about it."""
        return {"name": self.name, "note": self.note, "quality": dict(self.quality)}


class EncoderChoice(Choice):
    """An encoder that can be loaded."""

    @abstractmethod
    def load(self, device: torch.device) -> ImageTextEncoder:
        """Loads it.

        Raises:
            InputError: a library that it takes is not installed.
            WeightsError: its files are missing, damaged or another network's.
        """


# By their modules' contents, as no module can be called vit-b-32: these import what is heavy when they load.
ENCODERS: Registry[EncoderChoice] = Registry("encoder", __name__)


def load_encoder(choice: str = AUTO, device: str | torch.device = "cpu") -> ImageTextEncoder:
    """Load an encoder.

    Args:
        choice: one of ENCODERS: "vit-b-32" or "vit-l-14", OpenAI's CLIP through transformers (see `encoders.clip`:
            from a folder or the local cache, else downloaded where that is allowed); "joint", the embedded model.
            "auto" is the best that is at hand, so that it never downloads anything.

    Raises:
        InputError: another choice, or a CLIP without transformers installed.
        WeightsError: its files are missing, damaged or another network's.
    """
    import torch

    return chosen(ENCODERS, choice).load(torch.device(device))
