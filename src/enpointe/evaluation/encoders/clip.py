"""OpenAI's CLIP (arXiv 2103.00020), of two sizes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from enpointe.evaluation.encoders import ENCODERS, EncoderChoice, ImageTextEncoder

if TYPE_CHECKING:
    import torch

    from enpointe.encoders.clip import Release


class _ClipChoice(EncoderChoice):
    """Attributes: name, and patch, the side of the network's patches in pixels."""

    name: ClassVar[str]
    patch: ClassVar[int]

    @abstractmethod
    def release(self) -> Release: ...

    def is_at_hand(self) -> bool:
        from enpointe.encoders.clip import is_at_hand

        return is_at_hand(self.release())

    def load(self, device: torch.device) -> ImageTextEncoder:
        from enpointe.evaluation.encoders._clip import load_clip

        return load_clip(self.name, self.release(), self.patch, device)


class _Base(_ClipChoice):
    name, patch = "vit-b-32", 32
    preference = 3  # papers report B/32 first

    def release(self) -> Release:
        from enpointe.encoders.clip import BASE

        return BASE


class _Large(_ClipChoice):
    name, patch = "vit-l-14", 14
    preference = 2

    def release(self) -> Release:
        from enpointe.encoders.clip import LARGE

        return LARGE


for _choice in (_Base(), _Large()):
    ENCODERS.register(_choice.name)(_choice)
