"""Models of the game 0 A.D. (Debian's 0ad-data): buildings, animals, plants and things, CC-BY-SA-3.0."""

from __future__ import annotations

import posixpath
import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.plain_words import words_of_path
from enpointe.data.sources.pmd import Pmd, read_pmd
from enpointe.data.sources.zero_ad_actors import Actor, read_actor
from enpointe.io.assets.builder import GRAY, ModelBuilder
from enpointe.io.assets.files import Files, FolderFiles, MissingFileError, ZipFiles, kept_library, open_library
from enpointe.io.assets.limits import LIMITS, AssetLimits
from enpointe.io.assets.model import Material, Model
from enpointe.io.assets.textures import read_texture

DEBIAN_ARCHIVE = Path("/usr/share/games/0ad/mods/public/public.zip")
CATEGORIES = ("fauna", "flora", "geology", "props/flora", "props/special/eyecandy", "structures")
"""Actors that are things by themselves. People ("units") would stand with their arms stretched out."""
_UNFINISHED = re.compile(r"fndn|destruct|rubble|plot|decal|scaf|damage|/field")
"""Building sites, ruins and marks on the ground."""
PLAYER_COLOR = (21, 55, 149)
"""sRGB of what wears the colour of its player."""
_MAX_PARTS, _MAX_DEPTH = 1024, 6
_PEOPLES = {
    "athenians": "Greek", "britons": "Celtic", "carthaginians": "Carthaginian", "celts": "Celtic", "gauls": "Gaulish",
    "han": "Chinese", "hellenes": "Greek", "iberians": "Iberian", "kushites": "Nubian", "macedonians": "Macedonian",
    "mauryas": "Indian", "persians": "Persian", "ptolemies": "Egyptian", "romans": "Roman", "seleucids": "Seleucid",
    "spartans": "Spartan",
}  # fmt: skip
_WORDS = {"temperate": "", "mediterranean": "", "eyecandy": "", "cart": "", "hele": "", "rome": "", "pers": ""}
_UP_FROM_ENGINE = np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
"""z up, right-handed, front along -y, from y up, left-handed, front along -z."""


def zero_ad(path: Path = DEBIAN_ARCHIVE, limits: AssetLimits = LIMITS) -> list[Asset]:
    """The actors of `CATEGORIES` in a mod, an archive (public.zip) or a folder that holds art/.

    Actors that show nothing by themselves (decals, particles) fail when they are loaded.

    Raises:
        InputError: there are none.
    """
    names = _listed(path)
    within = tuple(f"{category}/" for category in CATEGORIES)
    names = [n for n in names if n.endswith(".xml") and n.startswith(within) and not _UNFINISHED.search(n)]
    if not names:
        raise InputError(f"{path}: expected 0 A.D.'s files below art/actors (Debian's package 0ad-data), found none")
    return [_asset(path, name, limits) for name in sorted(names)]


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
        creator="Wildfire Games", source="0 A.D.", load=partial(load_actor, path, name, limits),
    )  # fmt: skip


def clean_name(bare: str) -> tuple[str, str]:
    """An actor's path without suffix -> (plain words, noun).

    "structures/hellenes/stable" -> ("Greek stable", "stable").
    """
    folder, _, last = bare.rpartition("/")
    people = next((word for part in folder.split("/") if (word := _PEOPLES.get(part))), "")
    tokens = words_of_path((last,)).split()
    tokens = [token for token in tokens if token not in _WORDS] or tokens
    if folder.endswith("trees") and tokens[-1:] not in (["tree"], ["trees"], ["bush"]):
        tokens = [token for token in tokens if token != "tree"] + ["tree"]
    noun = " ".join(tokens) or folder.rpartition("/")[2]
    return (f"{people} {noun}" if people else noun), noun


def load_actor(path: Path, name: str, limits: AssetLimits = LIMITS) -> Model:
    """An actor in its commonest look, with what is put onto it, at rest.

    Raises:
        InputError: it shows nothing, or a file that it needs is missing or damaged.
    """
    files: Files = FolderFiles(path, limits) if path.is_dir() else ZipFiles(kept_library(path), ".", limits)
    builder = ModelBuilder(limits)
    _Assembly(files, builder).add(name, _UP_FROM_ENGINE, np.zeros(3), depth=0)
    return builder.build()


class _Assembly:
    """An actor and the actors that are put onto it, as one model."""

    def __init__(self, files: Files, builder: ModelBuilder) -> None:
        self.files = files
        self.builder = builder
        self.parts = 0
        self._worn: dict[tuple[str, str], int] = {}

    def add(self, name: str, turn: NDArray[np.float64], shift: NDArray[np.float64], depth: int) -> None:
        """The actor `name` at `turn` (3, 3) and `shift` (3,)."""
        self.parts += 1
        if self.parts > _MAX_PARTS or depth > _MAX_DEPTH:
            raise InputError(f"expected an actor of at most {_MAX_PARTS} parts, found more")
        actor = read_actor(name, self.files)
        props: dict[str, NDArray[np.float64]] = {}
        if actor.mesh:
            mesh = self._mesh(actor.mesh)
            props = mesh.props
            flipped = mesh.corners[:, ::-1] @ turn.T + shift  # left-handed axes wind the other way
            self.builder.add(flipped, self._wear(actor), mesh.uv[:, ::-1])
        for point, others in actor.props.items():
            place = props.get(point, props.get(f"prop-{point}"))
            if place is None:
                if point != "root":
                    continue
                place = np.eye(4)
            for other in others:
                self.add(other, turn @ place[:3, :3], turn @ place[:3, 3] + shift, depth + 1)

    def _mesh(self, name: str) -> Pmd:
        data = self._either(f"art/meshes/{name}", (".cached.pmd", ""))
        if not data.startswith(b"PSMD"):
            raise InputError(f"{name}: expected a PMD file, or one beside it that the game made, found another format")
        return read_pmd(data, self.builder.limits)

    def _wear(self, actor: Actor) -> int:
        key = actor.texture, actor.material
        if key not in self._worn:
            self._worn[key] = self.builder.add_material(self._material(actor))
        return self._worn[key]

    def _material(self, actor: Actor) -> Material:
        if not actor.texture:
            return Material(np.array(GRAY, np.float32))
        name = f"art/textures/skins/{actor.texture}"
        pixels = read_texture(self._either(name, (".cached.dds", "")), name, self.builder.limits)
        if "player" in actor.material:
            # Its coverage says where the texture, and where the player's colour shows.
            share = pixels[..., 3:].astype(np.float32) / 255
            pixels[..., :3] = pixels[..., :3] * (share + (1 - share) * np.array(PLAYER_COLOR) / 255)
        if "trans" not in actor.material or "no_trans" in actor.material or "player" in actor.material:
            pixels[..., 3] = 255
        return Material(np.ones(3, np.float32), pixels)

    def _either(self, name: str, suffixes: tuple[str, ...]) -> bytes:
        """The file as the game's release holds it, or as its makers do."""
        for suffix in suffixes[:-1]:
            try:
                return self.files.get(name + suffix)
            except MissingFileError:
                pass
        return self.files.get(name + suffixes[-1])
