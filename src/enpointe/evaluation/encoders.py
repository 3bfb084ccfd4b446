"""What R-Precision looks through: networks that put texts and pictures into one space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from enpointe.core.errors import InputError, WeightsError
from enpointe.encoders.clip import BASE, BATCH, LARGE, Clip, Release, clip, is_at_hand
from enpointe.geometry.checks import Floats

if TYPE_CHECKING:
    from enpointe.encoders.joint import JointSpace

Choice = Literal["auto", "joint", "vit-b-32", "vit-l-14"]
ENCODERS: tuple[str, ...] = get_args(Choice)

_CLIPS: dict[str, tuple[Release, int]] = {"vit-b-32": (BASE, 32), "vit-l-14": (LARGE, 14)}
"""Release and side of its patches. The first that is at hand is what "auto" takes: papers report B/32 first."""


class PictureTextEncoder(Protocol):
    """Texts and pictures as vectors of unit length, whose products say how well they go together."""

    @property
    def name(self) -> str:
        """One of ENCODERS but "auto"."""
        ...

    @property
    def quality(self) -> Mapping[str, Any]:
        """What was measured of it on held-out objects; empty where that was not done here."""
        ...

    @property
    def note(self) -> str:
        """What a report that uses it has to say of it."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, d) float32 unit rows."""
        ...

    def encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Pictures (h, w, 3) uint8 -> (n, d) float32 unit rows."""
        ...


@dataclass(frozen=True)
class ClipEncoder:
    """CLIP's projected text and picture vectors (arXiv 2103.00020)."""

    clip: Clip
    name: str
    note: str
    quality: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """See `PictureTextEncoder`; a text is cut at 77 tokens."""
        return self._array(self.clip.texts(texts))

    def encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """See `PictureTextEncoder`; pictures are prepared as CLIP's own were."""
        if len(pictures) == 0:
            raise InputError("pictures: expected at least one, found none")
        parts = [
            self._array(self.clip.pictures([Image.fromarray(picture) for picture in pictures[start : start + BATCH]]))
            for start in range(0, len(pictures), BATCH)
        ]
        return np.concatenate(parts)

    @staticmethod
    def _array(vectors: torch.Tensor) -> Floats:
        array: Floats = vectors.cpu().numpy()
        return array


@dataclass(frozen=True)
class JointEncoder:
    """The embedded joint model."""

    space: JointSpace
    name: str = "joint"
    note: str = (
        "R-Precision through the embedded joint model, which knows the embedded models' things and colours only and "
        "learned from renders like those that it judges: to compare runs of this tool with each other, never with "
        "published numbers"
    )

    @property
    def quality(self) -> Mapping[str, Any]:
        """What was measured on held-out objects when it was trained."""
        return self.space.quality

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """See `PictureTextEncoder`."""
        return self.space.encode_texts(texts)

    def encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """See `PictureTextEncoder`."""
        return self.space.encode_pictures(pictures)


def load_encoder(choice: str = "auto", device: str | torch.device = "cpu") -> PictureTextEncoder:
    """Load an encoder.

    Args:
        choice: "vit-b-32" or "vit-l-14", OpenAI's CLIP through transformers (see `encoders.clip`: from a folder
            or the local cache, else downloaded where that is allowed); "joint", the embedded model; "auto", the first
            CLIP that lies on this machine, else the embedded model, so that nothing is ever downloaded.

    Raises:
        InputError: another choice, or a CLIP without transformers installed.
        WeightsError: its files are missing, damaged or another network's.
    """
    if choice not in ENCODERS:
        raise InputError(f"encoder: expected one of {', '.join(ENCODERS)}, found {choice!r}")
    if choice == "auto":
        choice = next((name for name, (release, _) in _CLIPS.items() if is_at_hand(release)), "joint")
    if choice == "joint":
        from enpointe.checkpoints.embedded import load_joint

        return JointEncoder(load_joint(torch.device(device)))
    release, patch = _CLIPS[choice]
    network = clip(torch.device(device), release)
    found = network.model.config.vision_config.patch_size
    if found != patch:
        raise WeightsError(f"{release.name}: expected patches of {patch} pixels, found a CLIP with patches of {found}")
    return ClipEncoder(network, choice, f"R-Precision through {release.name}")
