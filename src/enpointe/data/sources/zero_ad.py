"""Models of the game 0 A.D. (Debian's 0ad-data): buildings, animals, plants and things, CC-BY-SA-3.0."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.plain_words import words_of_path
from enpointe.data.sources import SOURCES, Source
from enpointe.io.assets.files import open_library
from enpointe.io.assets.limits import LIMITS, AssetLimits

if TYPE_CHECKING:
    from enpointe.io.assets.model import Model

DEBIAN_ARCHIVE = Path("/usr/share/games/0ad/mods/public/public.zip")
CATEGORIES = ("fauna", "flora", "geology", "props/flora", "props/special/eyecandy", "structures")
"""Actors that are things by themselves. People ("units") would stand with their arms stretched out."""
_UNFINISHED = re.compile(r"fndn|destruct|rubble|plot|decal|scaf|damage|/field")
"""Building sites, ruins and marks on the ground."""
_PEOPLES = {
    "athenians": "Greek", "britons": "Celtic", "carthaginians": "Carthaginian", "celts": "Celtic", "gauls": "Gaulish",
    "han": "Chinese", "hellenes": "Greek", "iberians": "Iberian", "kushites": "Nubian", "macedonians": "Macedonian",
    "mauryas": "Indian", "persians": "Persian", "ptolemies": "Egyptian", "romans": "Roman", "seleucids": "Seleucid",
    "spartans": "Spartan",
}  # fmt: skip
_DROPPED = ("temperate", "mediterranean", "eyecandy", "cart", "hele", "rome", "pers")


@SOURCES.register("0ad")
@dataclass(frozen=True)
class ZeroAD(Source):
    """The actors of `CATEGORIES` in a mod, an archive (public.zip) or a folder that holds art/.

    Actors that show nothing by themselves (decals, particles) fail when they are loaded.
    """

    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> list[Asset]:
        mod = path or DEBIAN_ARCHIVE
        within = tuple(f"{category}/" for category in CATEGORIES)
        names = [name for name in _listed(mod) if name.endswith(".xml") and name.startswith(within)]
        names = [name for name in names if not _UNFINISHED.search(name)]
        if not names:
            raise InputError(f"{mod}: expected 0 A.D.'s files below art/actors (Debian's package 0ad-data), found none")
        return [_asset(mod, name, limits) for name in sorted(names)]


def _listed(path: Path) -> list[str]:
    """Paths of all files below art/actors."""
    if path.is_dir():
        root = path / "art" / "actors"
        return [file.relative_to(root).as_posix() for file in root.rglob("*.xml")]
    with open_library(path) as archive:
        return [name.removeprefix("art/actors/") for name in archive.namelist() if name.startswith("art/actors/")]


def _asset(path: Path, name: str, limits: AssetLimits) -> Asset:
    bare = posixpath.splitext(name)[0]
    words, noun = clean_name(bare)
    return Asset(
        key=f"0ad/{bare}", name=words, nouns=(noun,), tags=(), category=posixpath.dirname(name), licence="CC-BY-SA-3.0",
        creator="Wildfire Games", source="0 A.D.", load=partial(_load, path, name, limits),
    )  # fmt: skip


def clean_name(bare: str) -> tuple[str, str]:
    """An actor's path without suffix -> (plain words, noun).

    "structures/hellenes/stable" -> ("Greek stable", "stable").
    """
    folder, _, last = bare.rpartition("/")
    people = next((word for part in folder.split("/") if (word := _PEOPLES.get(part))), "")
    tokens = words_of_path((last,)).split()
    tokens = [token for token in tokens if token not in _DROPPED] or tokens
    if folder.endswith("trees") and tokens[-1:] not in (["tree"], ["trees"], ["bush"]):
        tokens = [token for token in tokens if token != "tree"] + ["tree"]
    noun = " ".join(tokens) or folder.rpartition("/")[2]
    return (f"{people} {noun}" if people else noun), noun


def _load(mod: Path, name: str, limits: AssetLimits) -> Model:
    from enpointe.data.sources._zero_ad_model import load_actor

    return load_actor(mod, name, limits)
