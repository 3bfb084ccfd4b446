"""Reading model files with trimesh into coloured triangles."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.datagen.asset_files import Files
from enpointe.datagen.asset_model import Material, Model, to_srgb
from enpointe.errors import InputError

MAX_ELEMENTS = 20_000_000
"""Most numbers that one array of a glTF file may declare, most triangles of a model."""
MAX_PIXELS = 64_000_000
TEXTURE_SIDE = 256
"""Pictures are shrunk to this: a cloud of thousands of points cannot show more, only sparkle."""
_GREY = (0.7, 0.7, 0.7)


def read_model(
    data: bytes,
    kind: str,
    files: Files,
    *,
    keep: Callable[[str], bool] = lambda node: True,
    palette: tuple[int, int] | None = None,
) -> Model:
    """A model from the bytes of a y-up file; (x, y, z) becomes (x, -z, y).

    `kind` is "glb", "gltf" or "obj"; `keep` chooses among the scene's nodes by name; `palette` is the
    (rows, columns) of swatches that every texture is known to hold.

    Raises:
        InputError: the file is damaged, empty, too large, or refers to files outside its folder.
    """
    import trimesh  # costly, and only needed where real models are

    if kind in ("glb", "gltf"):
        _check_declared_sizes(data, kind)
    resolver: Any = _Resolver(files)
    try:
        scene = trimesh.load(io.BytesIO(data), file_type=kind, resolver=resolver, force="scene", process=False)
        model = _flatten(scene, kind, keep, palette)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"expected a model in {kind} format, found {error!r}") from error
    if files.refused:
        raise InputError(f"{files.refused[0]}: expected a file within the model's folder, found one outside")
    return model


class _Resolver:
    """What trimesh asks files of."""

    def __init__(self, files: Files) -> None:
        self.get = files.get

    def __getitem__(self, name: str) -> bytes:
        return self.get(name)


def _check_declared_sizes(data: bytes, kind: str) -> None:
    """A glTF array may declare any length without bringing the bytes; it would be allocated."""
    try:
        if kind == "glb":
            (length,) = struct.unpack_from("<I", data, 12)
            data = data[20 : 20 + length]
        accessors = json.loads(data).get("accessors", [])
        largest = max((int(accessor["count"]) for accessor in accessors), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"expected a model in {kind} format, found a damaged header ({error!r})") from error
    if largest > MAX_ELEMENTS:
        raise InputError(f"expected arrays of at most {MAX_ELEMENTS} elements, found {largest} declared")


def _flatten(scene: Any, kind: str, keep: Callable[[str], bool], palette: tuple[int, int] | None) -> Model:
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    material: list[NDArray[np.int64]] = []
    materials: list[Material] = []
    known: dict[tuple[int, bool], int] = {}
    for node in sorted(scene.graph.nodes_geometry):
        if not keep(str(node)):
            continue
        transform, name = scene.graph[node]
        mesh = scene.geometry[name]
        faces = getattr(mesh, "faces", None)
        if faces is None or len(faces) == 0:
            continue
        corners = np.asarray(mesh.vertices, float) @ transform[:3, :3].T + transform[:3, 3]
        source = getattr(mesh.visual, "material", None)
        uv = _uv(mesh)
        dress = id(source), uv is not None
        if dress not in known:
            known[dress] = len(materials)
            worn = _material(source, kind, palette)
            materials.append(worn if uv is not None else _plain(worn))
        if uv is None:
            uv = np.zeros((len(corners), 2), np.float32)
        parts.append((corners[faces], uv[faces], _shade(mesh)[faces]))
        material.append(np.full(len(faces), known[dress]))
    if not parts:
        raise InputError("expected a model with triangles, found none")
    triangles, uv, shade = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    finite = np.isfinite(triangles).all(axis=(1, 2))
    if not finite.any() or len(finite) > MAX_ELEMENTS:
        raise InputError(f"expected 1 to {MAX_ELEMENTS} finite triangles, found {finite.sum()}")
    upright = np.stack([triangles[..., 0], -triangles[..., 2], triangles[..., 1]], axis=-1)
    return Model(upright[finite], uv[finite], shade[finite], np.concatenate(material)[finite], tuple(materials))


def _uv(mesh: Any) -> NDArray[np.float32] | None:
    uv = getattr(mesh.visual, "uv", None)
    if uv is None or len(uv) != len(mesh.vertices):
        return None
    return np.nan_to_num(np.asarray(uv, np.float32)[:, :2], posinf=0, neginf=0)


def _shade(mesh: Any) -> NDArray[np.float32]:
    """Colours of vertices, which glTF stores in linear light, wherever trimesh keeps them."""
    colors = mesh.visual.vertex_attributes.get("color") if hasattr(mesh.visual, "vertex_attributes") else None
    if colors is None and mesh.visual.kind == "vertex":
        colors = mesh.visual.vertex_colors
    if colors is None or len(colors) != len(mesh.vertices):
        return np.ones((len(mesh.vertices), 3), np.float32)
    colors = np.asarray(colors)
    top = np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1
    return (colors[:, :3] / top).clip(0, 1).astype(np.float32)


def _material(source: Any, kind: str, palette: tuple[int, int] | None) -> Material:
    if source is None:
        return Material(np.ones(3, np.float32))
    if kind == "obj":
        picture, color = source.image, _color(source.diffuse)
        if picture is not None:
            # Exporters write a dull grey beside a texture; only its tint can be meant.
            color = color / color.max() if color.max() > 0 else np.ones(3, np.float32)
        return Material(color, None if picture is None else _texture(picture, shrink=True))
    picture, factor = source.baseColorTexture, source.baseColorFactor
    color = np.ones(3, np.float32) if factor is None else to_srgb(_color(factor))
    if picture is None:
        return Material(color, linear=True)
    texture = _texture(picture, shrink=palette is None)
    swatches = None if palette is None else _swatches(texture, palette)
    return Material(color, texture, linear=True, palette=swatches)


def _plain(material: Material) -> Material:
    """The material where it says no place on its texture: the texture's mean colour."""
    if material.texture is None:
        return material
    mean = (material.texture[..., :3].mean(axis=(0, 1)) / 255).astype(np.float32)
    return Material(mean * material.color, linear=material.linear)


def _color(value: Any) -> NDArray[np.float32]:
    """Three numbers in [0, 1] from bytes or floats; grey where there are none."""
    array = np.asarray(_GREY if value is None else value)
    if array.ndim != 1 or len(array) < 3:
        return np.array(_GREY, np.float32)
    top = 255 if array.dtype.kind == "u" else 1
    return np.nan_to_num(array[:3] / top).clip(0, 1).astype(np.float32)


def _texture(picture: Any, shrink: bool) -> NDArray[np.uint8]:
    """RGBA pixels of a PIL image. One that is transparent nearly everywhere is glass: it keeps its colour."""
    width, height = picture.size
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(f"expected a texture of at most {MAX_PIXELS} pixels, found {width} x {height}")
    if shrink:
        picture.draft("RGB", (TEXTURE_SIDE, TEXTURE_SIDE))  # JPEG decodes at a fraction of its size for less
    picture = picture.convert("RGBA")
    if shrink and max(picture.size) > TEXTURE_SIDE:
        picture.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE))
    pixels = np.array(picture)
    if (pixels[..., 3] >= 128).mean() < 0.02:
        pixels[..., 3] = 255
    return pixels


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
