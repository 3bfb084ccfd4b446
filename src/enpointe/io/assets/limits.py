"""What one asset's files may hold before it is refused. What loading may take is `workers.Limits`."""

from __future__ import annotations

from dataclasses import dataclass

from enpointe.core.errors import InputError


@dataclass(frozen=True)
class AssetLimits:
    """Bounds that an asset, good or hostile, is held to, mostly by what its headers declare.

    Attributes:
        bytes: of all its files together, unpacked.
        faces: triangles of the whole scene, polygons cut and instances counted.
        pixels: of one texture.
        texture_side: textures are shrunk to this, which is about what a view of 512 pixels can show.
        all_pixels: of all textures together, as they are kept.
    """

    bytes: int = 256 * 2**20
    faces: int = 2_000_000
    pixels: int = 64_000_000
    texture_side: int = 512
    all_pixels: int = 2**28

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"limits: expected {name} above 0, found {value}")

    def check_faces(self, count: int) -> None:
        """InputError if a model of `count` triangles is too large; to be called before they are made."""
        if count > self.faces:
            raise InputError(f"expected at most {self.faces} triangles, found {count}")


LIMITS = AssetLimits()
"""For folders of anybody's models."""
CLOUD_LIMITS = AssetLimits(texture_side=256)
"""For clouds sampled without rendering: thousands of points cannot show more of a texture, only sparkle."""
OWN_LIMITS = AssetLimits(bytes=4 * 2**30, faces=4_000_000, texture_side=2048)
"""For a user's own files, one at a time."""
