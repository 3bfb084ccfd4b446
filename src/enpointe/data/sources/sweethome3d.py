"""Furniture libraries of Sweet Home 3D (Debian's sweethome3d-furniture): zip files of OBJ models and a catalog."""

from __future__ import annotations

import math
import posixpath
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.sources import SOURCES, Source
from enpointe.data.sources._sweethome3d_names import clean_name, clean_tags
from enpointe.io.assets.files import open_library, read_entry
from enpointe.io.assets.limits import LIMITS, AssetLimits

if TYPE_CHECKING:
    from enpointe.io.assets.model import Model

DEBIAN_FOLDER = Path("/usr/share/sweethome3d/furniture")
CATALOGUE = "PluginFurnitureCatalog.properties"
_LICENCES = (
    ("public domain", "CC0-1.0"),
    ("attribution 3.0 united states", "CC-BY-3.0-US"),
    ("attribution 3.0", "CC-BY-3.0"),
)


@SOURCES.register("sweethome3d")
@dataclass(frozen=True)
class SweetHome3D(Source):
    """All models of the .sh3f libraries in a folder, in their catalogs' order.

    A library that is damaged, or names files outside itself, is refused.
    """

    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> list[Asset]:
        folder = path or DEBIAN_FOLDER
        libraries = sorted(folder.glob("*.sh3f"))
        if not libraries:
            raise InputError(
                f"{folder}: expected .sh3f libraries (Debian's package sweethome3d-furniture installs some), found none"
            )
        return [asset for library in libraries for asset in _catalogue(library, limits)]


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
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _load(
    library: Path,
    entry: str,
    rotation: tuple[float, ...] | None,
    size: tuple[float, ...] | None,
    limits: AssetLimits,
) -> Model:
    from enpointe.data.sources._sweethome3d_model import load_entry

    return load_entry(library, entry, rotation, size, limits)
