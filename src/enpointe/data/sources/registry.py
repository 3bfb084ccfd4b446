"""Sources of assets by name, as the command line knows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.caption_table import CaptionTable
from enpointe.data.sources.folder import folder
from enpointe.data.sources.kaykit import kaykit
from enpointe.data.sources.procedural import Procedural
from enpointe.data.sources.sweethome import DEBIAN_FOLDER, sweethome
from enpointe.data.sources.zero_ad import DEBIAN_ARCHIVE, zero_ad
from enpointe.io.assets.limits import LIMITS, AssetLimits

SOURCES = ("folder", "sweethome3d", "kaykit", "0ad", "procedural")


class Source(Protocol):
    """A number of assets that can be gone through again and again, always in the same order.

    Each `Asset` has a key of its own, its words (`captions`, else `nouns`), licence, creator and source, and
    `load() -> Model`, which raises InputError. It can be sent to another process. A list of assets is a source.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Asset]: ...


def open_source(
    name: str,
    path: Path | None = None,
    *,
    captions: CaptionTable | None = None,
    licence: str = "unknown",
    creator: str = "unknown",
    limit: int | None = None,
    seed: int = 0,
    limits: AssetLimits = LIMITS,
) -> Source:
    """One of `SOURCES`.

    Args:
        path: the folder of models or of libraries, or the game's archive; where Debian installs it by
            default. "folder" and "kaykit" need it, "procedural" has none.
        captions, licence, creator: of a folder's models; see `folder`.
        limit: only so many assets; how many "procedural" makes, 1,000 by default.
        seed: of "procedural".

    Raises:
        InputError: the name is unknown, an argument is missing or not of this source, or there are no assets.
    """
    if name not in SOURCES:
        raise InputError(f"source: expected one of {', '.join(SOURCES)}, got {name!r}")
    if limit is not None and limit < 1:
        raise InputError(f"limit: expected at least one asset, got {limit}")
    if captions is not None and name != "folder":
        raise InputError(f"captions: expected only with source 'folder', got them with {name!r}")
    if name == "procedural":
        if path is not None:
            raise InputError(f"path: expected none with source 'procedural', got {path}")
        return Procedural(limit or 1000, seed)
    if path is None and name in ("folder", "kaykit"):
        raise InputError(f"path: expected a folder with source {name!r}, got none")
    assets = _listed(name, path, captions, licence, creator, limits)
    return assets[:limit]


def _listed(
    name: str, path: Path | None, captions: CaptionTable | None, licence: str, creator: str, limits: AssetLimits
) -> list[Asset]:
    match name:
        case "sweethome3d":
            return sweethome(path or DEBIAN_FOLDER, limits)
        case "0ad":
            return zero_ad(path or DEBIAN_ARCHIVE, limits)
    assert path is not None
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of models, found none")
    if name == "kaykit":
        return kaykit(path, limits)
    return folder(path, captions, licence=licence, creator=creator, limits=limits)
