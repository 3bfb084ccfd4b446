"""Models of 0 A.D.'s actors: their meshes, textures and props put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.sources._zero_ad_actor import Actor, read_actor
from enpointe.data.sources._zero_ad_mesh import Pmd, read_pmd
from enpointe.io.assets.builder import GRAY, ModelBuilder
from enpointe.io.assets.files import Files, FolderFiles, MissingFileError, ZipFiles, kept_library
from enpointe.io.assets.limits import LIMITS, AssetLimits
from enpointe.io.assets.model import Material, Model
from enpointe.io.assets.textures import read_texture

PLAYER_COLOR = (21, 55, 149)
"""sRGB of parts in their player's color."""
_MAX_PARTS, _MAX_DEPTH = 1024, 6
_UP_FROM_ENGINE = np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
"""z up, right-handed, front along -y, from y up, left-handed, front along -z."""


def load_actor(path: Path, name: str, limits: AssetLimits = LIMITS) -> Model:
    """An actor in its commonest variants, with its props attached, at rest.

    Raises:
        InputError: it shows nothing, or a file that it needs is missing or damaged.
    """
    files: Files = FolderFiles(path, limits) if path.is_dir() else ZipFiles(kept_library(path), ".", limits)
    builder = ModelBuilder(limits)
    _ActorModel(files, builder).add(name, _UP_FROM_ENGINE, np.zeros(3), depth=0)
    return builder.build()


class _ActorModel:
    """An actor and the actors that are attached to it, as one model."""

    def __init__(self, files: Files, builder: ModelBuilder) -> None:
        self.files = files
        self.builder = builder
        self.parts = 0
        self._materials: dict[tuple[str, str], int] = {}

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
            self.builder.add(flipped, self._material_number(actor), mesh.uv[:, ::-1])
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

    def _material_number(self, actor: Actor) -> int:
        key = actor.texture, actor.material
        if key not in self._materials:
            self._materials[key] = self.builder.add_material(self._material(actor))
        return self._materials[key]

    def _material(self, actor: Actor) -> Material:
        if not actor.texture:
            return Material(np.array(GRAY, np.float32))
        name = f"art/textures/skins/{actor.texture}"
        pixels = read_texture(self._either(name, (".cached.dds", "")), name, self.builder.limits)
        if "player" in actor.material:
            # Its coverage decides where the texture shows, and where the player's color does.
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
