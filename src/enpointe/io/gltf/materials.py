"""Materials of glTF files, as far as a surface's own color goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.colors import to_srgb
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import MissingFileError
from enpointe.io.assets.model import Material
from enpointe.io.assets.textures import DamagedTextureError, mean_color, read_texture
from enpointe.io.gltf.document import Document

_SPECULAR = "KHR_materials_pbrSpecularGlossiness"
_TRANSFORM = "KHR_texture_transform"


@dataclass(frozen=True)
class Surface:
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


class Surfaces:
    """The materials of a document, each made when it is first used."""

    def __init__(self, document: Document, builder: ModelBuilder) -> None:
        self.document = document
        self.builder = builder
        self._made: dict[int | None, Surface] = {}
        self._textures: dict[int, NDArray[np.uint8] | None] = {}

    def of(self, index: Any) -> Surface:
        """That of material `index`, or of none.

        Raises:
            InputError: the file has no such material, or a texture cannot be read.
        """
        if index not in self._made:
            self._made[index] = self._make({} if index is None else self.document.item("materials", index))
        return self._made[index]

    def _make(self, described: dict[str, Any]) -> Surface:
        factor, info = _base(described)
        color = to_srgb(_color((1, 1, 1) if factor is None else factor))
        texture = None if info is None else self._texture(info["index"])
        if info is None or texture is None:
            number = self.builder.add_material(Material(color, linear=True), colored=factor is not None)
            return Surface(number, number)
        texture = _cut(texture, described)
        placing = info.get("extensions", {}).get(_TRANSFORM, {})
        return Surface(
            plain=self.builder.add_material(Material(mean_color(texture) * color, linear=True)),
            textured=self.builder.add_material(Material(color, texture, linear=True, smooth=not self.builder.palette)),
            uv_set=int(placing.get("texCoord", info.get("texCoord", 0))),
            uv_from_file=_uv_transform(placing) if placing else None,
        )

    def _texture(self, index: Any) -> NDArray[np.uint8] | None:
        texture = self.document.item("textures", index)
        source = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", texture.get("source"))
        if source not in self._textures:
            try:
                self._textures[source] = self._image(source)
            except (MissingFileError, DamagedTextureError) as error:
                self.builder.do_without(error)
                self._textures[source] = None
        return self._textures[source]

    def _image(self, source: Any) -> NDArray[np.uint8]:
        if source is None:
            raise DamagedTextureError("expected an image of every texture, found one without any that can be read here")
        image = self.document.item("images", source)
        if "uri" in image:
            uri = str(image["uri"])
            name, data = (f"image {source}" if uri.startswith("data:") else uri), self.document.fetch(uri)
        else:
            name, data = f"image {source}", bytes(self.document.view(image["bufferView"]))
        return read_texture(data, name, self.document.limits, shrink=not self.builder.palette)


def _base(described: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """The factor (4,) of the surface's own color, and the reference to its texture; None where there is none."""
    old = described.get("extensions", {}).get(_SPECULAR)
    if old is not None:
        return old.get("diffuseFactor"), old.get("diffuseTexture")
    metallic = described.get("pbrMetallicRoughness", {})
    return metallic.get("baseColorFactor"), metallic.get("baseColorTexture")


def _color(factor: Any) -> NDArray[np.float32]:
    values = np.array(factor, float)
    if values.shape not in ((3,), (4,)):
        raise InputError(f"expected four numbers as a material's color, found {values.shape}")
    return np.nan_to_num(values[:3]).clip(0, 1).astype(np.float32)


def _cut(texture: NDArray[np.uint8], described: dict[str, Any]) -> NDArray[np.uint8]:
    """The texture's coverage as its material has it (section 3.9.4): opaque, cut at a value, or its own."""
    mode = described.get("alphaMode", "OPAQUE")
    if mode == "BLEND":
        return texture
    texture = texture.copy()
    if mode == "MASK":
        covered = texture[..., 3] >= 255 * float(described.get("alphaCutoff", 0.5))
        texture[..., 3] = np.where(covered, 255, 0)
    else:
        texture[..., 3] = 255
    return texture


def _uv_transform(placing: dict[str, Any]) -> NDArray[np.float64]:
    """The matrix (2, 3) of KHR_texture_transform: scaled, turned, moved."""
    turn = float(placing.get("rotation", 0))
    sine, cosine = np.sin(turn), np.cos(turn)
    scale, offset = placing.get("scale", (1, 1)), placing.get("offset", (0, 0))
    matrix = np.array([[cosine, sine], [-sine, cosine]]) * np.array(scale, float)
    return np.concatenate([matrix, np.array(offset, float).reshape(2, 1)], axis=1)
