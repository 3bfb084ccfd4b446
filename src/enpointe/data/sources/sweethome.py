"""Furniture libraries of Sweet Home 3D (Debian's sweethome3d-furniture): zip files of OBJ models and a catalogue."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.sources.sweethome_names import clean_name, clean_tags
from enpointe.io.assets.files import ZipFiles, kept_library, open_library, read_entry
from enpointe.io.assets.limits import CLOUD_LIMITS, AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model

DEBIAN_FOLDER = Path("/usr/share/sweethome3d/furniture")
CATALOGUE = "PluginFurnitureCatalog.properties"
_LICENCES = (
    ("public domain", "CC0-1.0"),
    ("attribution 3.0 united states", "CC-BY-3.0-US"),
    ("attribution 3.0", "CC-BY-3.0"),
)


def sweethome(folder: Path = DEBIAN_FOLDER, limits: AssetLimits = CLOUD_LIMITS) -> list[Asset]:
    """All models of the .sh3f libraries in `folder`, in their catalogues' order.

    Raises:
        InputError: there is no library, or one is damaged or names files outside itself.
    """
    libraries = sorted(folder.glob("*.sh3f"))
    if not libraries:
        raise InputError(
            f"{folder}: expected .sh3f libraries (Debian's package sweethome3d-furniture installs some), found none"
        )
    return [asset for path in libraries for asset in _catalogue(path, limits)]


def read_properties(data: bytes) -> dict[str, str]:
    r"""A Java properties file: Latin-1, `key=value` lines, `\uXXXX` escapes, a final backslash goes on."""
    text = re.sub(r"\\\r?\n[ \t]*", "", data.decode("latin-1"))
    properties = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", "!")):
            value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value.strip())
            properties[key.strip()] = re.sub(r"\\(.)", r"\1", value)
    return properties


def _catalogue(path: Path, limits: AssetLimits) -> list[Asset]:
    with open_library(path) as archive:
        properties = read_properties(read_entry(archive, CATALOGUE))
        entries = set(archive.namelist())
    written = properties.get("license", "unknown")
    licence = next((spdx for words, spdx in _LICENCES if words in written.lower()), written)
    numbers = sorted(int(key[6:]) for key in properties if re.fullmatch(r"model#\d{1,9}", key))
    return [_asset(path, number, properties, entries, licence, limits) for number in numbers]


def _asset(
    path: Path, number: int, properties: dict[str, str], entries: set[str], licence: str, limits: AssetLimits
) -> Asset:
    def field(name: str) -> str:
        return properties.get(f"{name}#{number}", "")

    model = field("model").lstrip("/")
    if posixpath.normpath(model) != model or model.startswith("..") or model not in entries:
        raise InputError(f"{path}: expected model {number} among the library's entries, found '{model}'")
    if not model.lower().endswith(".obj"):
        raise InputError(f"{path}: expected model {number} to be an OBJ file, found '{model}'")
    name, nouns = clean_name(field("name"))
    rotation = _floats(field("modelRotation"), 9)
    size = _floats(" ".join(field(side) for side in ("width", "depth", "height")), 3)
    return Asset(
        key=f"sweethome/{path.stem}/{posixpath.splitext(model)[0].split('/', 1)[-1]}",
        name=name,
        nouns=nouns,
        tags=clean_tags(field("tags")),
        category=field("category") or "unknown",
        licence=licence,
        creator=field("creator") or "unknown",
        source=f"Sweet Home 3D {path.stem}",
        load=partial(_load, path, model, rotation, size, limits),
    )


def _floats(written: str, count: int) -> tuple[float, ...] | None:
    """Exactly `count` finite numbers, or None."""
    try:
        numbers = tuple(float(word) for word in written.split())
    except ValueError:
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _load(
    path: Path,
    entry: str,
    rotation: tuple[float, ...] | None,
    size: tuple[float, ...] | None,
    limits: AssetLimits,
) -> Model:
    files = ZipFiles(kept_library(path), posixpath.dirname(entry), limits)
    model = read_model(files.get(posixpath.basename(entry)), ".obj", files, limits=limits)
    return replace(model, triangles=place(model.triangles, rotation, size))


def place(
    triangles: NDArray[np.float64], rotation: tuple[float, ...] | None, size: tuple[float, ...] | None
) -> NDArray[np.float64]:
    """Turn and stretch triangles (f, 3, 3), z up, as the catalogue says.

    `rotation` holds the nine numbers of a matrix, row by row, in the file's y-up axes; `size` is width,
    depth and height of the turned model.
    """
    if rotation is not None:
        z_up_from_y_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        matrix = z_up_from_y_up @ np.array(rotation).reshape(3, 3) @ z_up_from_y_up.T
        triangles = triangles @ matrix.T
    if size is not None and min(size) > 0:
        extent = triangles.max(axis=(0, 1)) - triangles.min(axis=(0, 1))
        triangles = triangles * np.where(extent > 0, np.array(size) / np.maximum(extent, 1e-12), 1)
    return triangles
