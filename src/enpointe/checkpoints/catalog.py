"""What there is to have by name: the released checkpoints' files, and the embedded ones. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enpointe.core.errors import InputError

NESTED = "model_state_dict"


@dataclass(frozen=True)
class ReleasedFile:
    """A checkpoint as the release published it.

    Attributes:
        file: its name at the release's address.
        parameters: how many numbers it holds; in float32 it takes four bytes for each.
        about: what the model takes and gives, on one line.
        nested: whether its state dict lies under NESTED, beside what its training needed.
    """

    file: str
    parameters: int
    about: str
    nested: bool = False

    @property
    def n_bytes(self) -> int:
        """Its size in float32, without the little that a file format adds."""
        return 4 * self.parameters


RELEASED_FILES: dict[str, ReleasedFile] = {
    "base40M-imagevec": ReleasedFile("base_40m_imagevec.pt", 40_333_836, "a picture's CLIP vector -> 1,024 points"),
    "base40M-textvec": ReleasedFile("base_40m_textvec.pt", 40_333_836, "a text's CLIP vector -> 1,024 points"),
    "base40M-uncond": ReleasedFile("base_40m_uncond.pt", 39_940_108, "nothing -> 1,024 points"),
    "base40M": ReleasedFile("base_40m.pt", 40_466_956, "a picture's CLIP grid -> 1,024 points"),
    "base300M": ReleasedFile("base_300m.pt", 311_778_316, "a picture's CLIP grid -> 1,024 points"),
    "base1B": ReleasedFile("base_1b.pt", 1_244_311_564, "a picture's CLIP grid -> 1,024 points"),
    "upsample": ReleasedFile("upsample_40m.pt", 40_470_552, "1,024 points and a picture's CLIP grid -> 4,096 points"),
    "sdf": ReleasedFile("sdf.pt", 9_481_985, "4,096 points -> signed distances, for a mesh"),
    "pointnet": ReleasedFile(
        "pointnet.pt", 5_872_819, "a cloud -> classes and features, for P-FID and P-IS", nested=True
    ),
}
"""The released Point-E checkpoints (arXiv 2212.08751, sections 4 and 5)."""

RELEASED_NAMES: tuple[str, ...] = tuple(RELEASED_FILES)


def released_file(name: str) -> ReleasedFile:
    """The file of a released name; InputError where there is no such name."""
    if name not in RELEASED_FILES:
        raise InputError(f"released checkpoint: expected one of {', '.join(RELEASED_FILES)}; got {name!r}")
    return RELEASED_FILES[name]


RELEASE_URL = "https://openaipublic.azureedge.net/main/point-e/"
MIRRORS = (
    RELEASE_URL,
    "https://openaipublic.blob.core.windows.net/main/point-e/",
)
"""Addresses that are asked in this order: the release's own, and the storage account behind it."""

_ASSETS = Path(__file__).resolve().parent.parent / "assets"
EMBEDDED: dict[str, tuple[Path, ...]] = {
    "pocket": tuple(_ASSETS / f"pocket-{member}.safetensors" for member in ("base", "up", "sdf")),
    "pocket-classifier": (_ASSETS / "pocket-classifier.safetensors",),
    "pocket-joint": (_ASSETS / "pocket-joint.safetensors", _ASSETS / "efficientnet-lite0.safetensors"),
}
"""Networks whose weights come with the package; all texts go through MiniLM's, which is not counted."""
EMBEDDED_ABOUT = {
    "pocket": "a text -> up to 65,536 points and a mesh",
    "pocket-classifier": "a cloud -> one of 96 categories and features, for P-FID and P-IS",
    "pocket-joint": "texts and pictures -> one space, for R-Precision",
}
