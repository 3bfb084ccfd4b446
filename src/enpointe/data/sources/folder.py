"""Any folder of 3D files as a source of assets."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.core.options import option
from enpointe.data.assets import Asset
from enpointe.data.caption_table import CaptionTable, read_captions
from enpointe.data.plain_words import words_of_path
from enpointe.data.sources import SOURCES, Source, existing_folder
from enpointe.data.sources._gltf_annotation import gltf_annotation
from enpointe.io.assets.limits import LIMITS, AssetLimits

if TYPE_CHECKING:
    from enpointe.io.assets.model import Model

TABLES = ("captions.csv", "captions.jsonl")
"""A table of captions that is found by itself, in the folder of the models."""
MODEL_FOLDERS = ("gltf", "mesh", "meshes", "model", "models", "obj", "source")
"""Folders that hold a model beside those of its textures, as "models" and "images" of ShapeNet's objects."""


@SOURCES.register("folder")
@dataclass(frozen=True)
class Folder(Source):
    """All models below a folder, by path: OBJ, glTF, GLB, PLY, STL, zip archives of one, FBX and DAE.

    Each may refer to files in its own folder (see `own_folder`) or below. Links to folders are not followed,
    and hidden files are skipped. Whether a file can be read shows when it is loaded.

    Attributes:
        captions: a table of the models' captions, see `caption_table.read_captions`; by default one of `TABLES`, if
            there is one. Where it has none, those that a glTF file has inside serve, then its name, or its folder's.
        licence, creator: of the models for which neither the table nor the file has one.
    """

    captions: Path | None = field(
        default=None,
        metadata=option(
            "captions of the models, .csv or .jsonl (Cap3D's too; default: captions.csv there)", "FILE", Path
        ),
    )
    licence: str = field(default="unknown", metadata=option("of models for which no table has one", "ID"))
    creator: str = field(default="unknown", metadata=option("of models for which no table has one", "NAME"))

    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> list[Asset]:
        from enpointe.data.model_files import load_model, model_suffixes

        root = existing_folder(path, "folder")
        beside = (root / name for name in TABLES)
        captions = self.captions or next((table for table in beside if table.is_file()), None)
        table = CaptionTable({}) if captions is None else read_captions(captions)
        suffixes = model_suffixes()
        found = []
        for parent, folders, names in os.walk(root, onerror=_unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(parent, n) for n in sorted(names) if n.lower().endswith(suffixes) and not n.startswith(".")]
        if not found:
            raise InputError(f"{root}: expected files ending in {', '.join(suffixes)}, found none")
        found.sort(key=lambda file: os.fsencode(file.relative_to(root).as_posix()))
        return [
            self._asset(file, root, table, partial(load_model, file, limits, own_folder(file, root))) for file in found
        ]

    def _asset(self, file: Path, root: Path, table: CaptionTable, load: Callable[[], Model]) -> Asset:
        relative = _text(file.relative_to(root).as_posix())
        known = table.find(relative)
        if file.suffix.lower() in (".glb", ".gltf"):
            known = known.completed(gltf_annotation(file))
        parts = posixpath.splitext(relative)[0].split("/")
        name = words_of_path(tuple(parts))
        return Asset(
            key=f"folder/{relative}",
            name=known.captions[0] if known.captions else name,
            nouns=(name,) if name else (),
            tags=(),
            category=parts[-2] if len(parts) > 1 else "unknown",
            licence=known.licence or self.licence,
            creator=known.creator or self.creator,
            source=known.source or _text(root.resolve().name),
            load=load,
            captions=known.captions,
        )


def _unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: expected a readable folder, found {error.strerror}") from error


def _text(name: str) -> str:
    """A file's name as text that can be written anywhere; bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def own_folder(file: Path, root: Path) -> Path:
    """What a model file below `root` may refer to: its folder, or the one above if it is one of `MODEL_FOLDERS`."""
    folder = file.parent
    return folder.parent if folder != root and folder.name.lower() in MODEL_FOLDERS else folder
