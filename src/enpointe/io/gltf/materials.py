"""Materials of glTF files, as far as a surface's own colour goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import MissingFileError
from enpointe.io.assets.model import Material, to_srgb
from enpointe.io.assets.textures import DamagedTextureError, mean_color, read_texture
from enpointe.io.gltf.document import Document

_SPECULAR = "KHR_materials_pbrSpecularGlossiness"
_TRANSFORM = "KHR_texture_transform"


@dataclass(frozen=True)
class Outfit:
    """One material: the builder's numbers of it without and with its texture, and where that lies."""

    plain: int
    textured: int
    uv_set: int = 0
    uv_from_file: NDArray[np.float64] | None = None

    def place_uv(self, uv: NDArray[Any]) -> NDArray[np.float64]:
        """Texture coordinates (v, 2) of the file on the texture, v upwards."""
        placed = uv.astype(float)
        if self.uv_from_file is not None:
            placed = placed @ self.uv_from_file[:, :2].T + self.uv_from_file[:, 2]
        return np.stack([placed[:, 0], 1 - placed[:, 1]], axis=1)


class Wardrobe:
    """The materials of a document, each made when it is first worn."""

    def __init__(
        self, document: Document, builder: ModelBuilder, palette: tuple[int, int] | None, *, strict: bool
    ) -> None:
        self.document = document
        self.builder = builder
        self.palette = palette
        self.strict = strict
        self._made: dict[int | None, Outfit] = {}
        self._textures: dict[int, NDArray[np.uint8] | None] = {}

    def outfit(self, index: Any) -> Outfit:
        """Of material `index`, or of none.

        Raises:
            InputError: the file has no such material, or a texture cannot be read.
        """
        if index not in self._made:
            self._made[index] = self._make({} if index is None else self.document.item("materials", index))
        return self._made[index]

    def _make(self, described: dict[str, Any]) -> Outfit:
        factor, info = _base(described)
        color = to_srgb(_color(factor))
        picture = None if info is None else self._texture(info["index"])
        if info is None or picture is None:
            number = self.builder.wear(Material(color, linear=True))
            return Outfit(number, number)
        picture = _cut(picture, described)
        swatches = None if self.palette is None else _swatches(picture, self.palette)
        placing = info.get("extensions", {}).get(_TRANSFORM, {})
        return Outfit(
            plain=self.builder.wear(Material(mean_color(picture) * color, linear=True)),
            textured=self.builder.wear(Material(color, picture, linear=True, palette=swatches)),
            uv_set=int(placing.get("texCoord", info.get("texCoord", 0))),
            uv_from_file=_uv_transform(placing) if placing else None,
        )

    def _texture(self, index: Any) -> NDArray[np.uint8] | None:
        texture = self.document.item("textures", index)
        source = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", texture.get("source"))
        if source is None:
            raise InputError(f"expected a picture for texture {index}, found none that can be read here")
        if source not in self._textures:
            try:
                self._textures[source] = self._picture(source)
            except (MissingFileError, DamagedTextureError):
                if self.strict:
                    raise
                self._textures[source] = None
        return self._textures[source]

    def _picture(self, source: Any) -> NDArray[np.uint8]:
        image = self.document.item("images", source)
        if "uri" in image:
            uri = str(image["uri"])
            name, data = (f"image {source}" if uri.startswith("data:") else uri), self.document.fetch(uri)
        else:
            name, data = f"image {source}", bytes(self.document.view(image["bufferView"]))
        return read_texture(data, name, self.document.limits, shrink=self.palette is None)


def _base(described: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """The factor (4,) of the surface's own colour, and the reference to its texture."""
    old = described.get("extensions", {}).get(_SPECULAR)
    if old is not None:
        return old.get("diffuseFactor", (1, 1, 1, 1)), old.get("diffuseTexture")
    metallic = described.get("pbrMetallicRoughness", {})
    return metallic.get("baseColorFactor", (1, 1, 1, 1)), metallic.get("baseColorTexture")


def _color(factor: Any) -> NDArray[np.float32]:
    values = np.array(factor, float)
    if values.shape not in ((3,), (4,)):
        raise InputError(f"expected four numbers as a material's colour, found {values.shape}")
    return np.nan_to_num(values[:3]).clip(0, 1).astype(np.float32)


def _cut(picture: NDArray[np.uint8], described: dict[str, Any]) -> NDArray[np.uint8]:
    """The texture's coverage as its material has it (section 3.9.4): opaque, cut at a value, or its own."""
    mode = described.get("alphaMode", "OPAQUE")
    if mode == "BLEND":
        return picture
    picture = picture.copy()
    if mode == "MASK":
        covered = picture[..., 3] >= 255 * float(described.get("alphaCutoff", 0.5))
        picture[..., 3] = np.where(covered, 255, 0)
    else:
        picture[..., 3] = 255
    return picture


def _uv_transform(placing: dict[str, Any]) -> NDArray[np.float64]:
    """The matrix (2, 3) of KHR_texture_transform: scaled, turned, moved."""
    turn = float(placing.get("rotation", 0))
    sine, cosine = np.sin(turn), np.cos(turn)
    scale, offset = placing.get("scale", (1, 1)), placing.get("offset", (0, 0))
    matrix = np.array([[cosine, sine], [-sine, cosine]]) * np.array(scale, float)
    return np.concatenate([matrix, np.array(offset, float).reshape(2, 1)], axis=1)


def _swatches(texture: NDArray[np.uint8], palette: tuple[int, int]) -> NDArray[np.int64]:
    """Numbers of the swatches on a sheet; cells that look the same are one swatch."""
    rows, columns = palette
    h, w = texture.shape[0] // rows, texture.shape[1] // columns
    if h == 0 or w == 0:
        return np.zeros((1, 1), np.int64)
    cells = texture[: rows * h, : columns * w, :3].reshape(rows, h, columns, w, 3)
    mean = cells[:, :: max(h // 16, 1), :, :: max(w // 16, 1)].mean(axis=(1, 3))
    _, number = np.unique(np.round(mean / 8).reshape(-1, 3), axis=0, return_inverse=True)
    return number.reshape(rows, columns)
