"""Any folder of 3D files as a source of assets."""

from __future__ import annotations

import os
import posixpath
import zipfile
from functools import partial
from pathlib import Path

from enpointe.core.errors import DeviceError, InputError
from enpointe.data.assets import Asset
from enpointe.data.caption_table import CaptionTable
from enpointe.data.plain_words import words_of_path
from enpointe.data.sources.embedded_captions import embedded_words
from enpointe.io.assets.files import FolderFiles, ZipFiles, open_library
from enpointe.io.assets.limits import LIMITS, AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model, suffixes

BLENDER_SUFFIXES = (".dae", ".fbx")
"""Formats that only Blender reads."""
MODEL_FOLDERS = ("gltf", "mesh", "meshes", "model", "models", "obj", "source")
"""Folders that hold a model beside those of its textures, as "models" and "images" of ShapeNet's objects."""


def folder(
    path: Path,
    captions: CaptionTable | None = None,
    *,
    licence: str = "unknown",
    creator: str = "unknown",
    limits: AssetLimits = LIMITS,
) -> list[Asset]:
    """All models below a folder, by path: OBJ, glTF, GLB, PLY, STL, zip archives of one, FBX and DAE.

    Each may refer to files in its own folder (see `own_folder`) or below. Links to folders are not followed,
    and hidden files not looked at. Whether a file can be read shows when it is loaded.

    Args:
        captions: what is said of the models; else what a glTF file says of itself, then its name, or its folder's.
        licence, creator: of those of whom neither the table nor the file says it.

    Raises:
        InputError: the folder cannot be read, or holds no models.
    """
    known = (*suffixes("read_model"), *BLENDER_SUFFIXES, ".zip")
    found = []
    for root, folders, names in os.walk(path, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, n) for n in sorted(names) if n.lower().endswith(known) and not n.startswith(".")]
    if not found:
        raise InputError(f"{path}: expected files ending in {', '.join(known)}, found none")
    table = captions or CaptionTable({})
    found.sort(key=lambda file: os.fsencode(file.relative_to(path).as_posix()))
    return [_asset(file, path, table, licence, creator, limits) for file in found]


def _unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: expected a readable folder, found {error.strerror}") from error


def _asset(file: Path, root: Path, table: CaptionTable, licence: str, creator: str, limits: AssetLimits) -> Asset:
    relative = _text(file.relative_to(root).as_posix())
    said = table.find(relative)
    if file.suffix.lower() in (".glb", ".gltf"):
        said = said.before(embedded_words(file))
    parts = posixpath.splitext(relative)[0].split("/")
    name = words_of_path(tuple(parts))
    return Asset(
        key=f"folder/{relative}",
        name=said.captions[0] if said.captions else name,
        nouns=(name,) if name else (),
        tags=(),
        category=parts[-2] if len(parts) > 1 else "unknown",
        licence=said.licence or licence,
        creator=said.creator or creator,
        source=said.source or _text(root.resolve().name),
        load=partial(load_file, file, limits, own_folder(file, root)),
        captions=said.captions,
    )


def _text(name: str) -> str:
    """A file's name as text that can be written anywhere; bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def own_folder(file: Path, root: Path) -> Path:
    """What a model file below `root` may refer to: its folder, or the one above if it is one of `MODEL_FOLDERS`."""
    folder = file.parent
    return folder.parent if folder != root and folder.name.lower() in MODEL_FOLDERS else folder


def load_file(path: Path, limits: AssetLimits = LIMITS, within: Path | None = None) -> Model:
    """A model from one file and what it refers to; its suffix names its format.

    Args:
        within: the folder that it may refer to; by default the one that it is in.

    Raises:
        InputError: it cannot be read, is beyond the limits, or needs a Blender that is not there.
        RenderError: Blender was lost over it.
    """
    suffix = path.suffix.lower()
    files = FolderFiles(path.parent, limits, within)
    if suffix in BLENDER_SUFFIXES:
        return _load_by_blender(path, files, limits, within)
    if suffix == ".zip":
        files.check(path.name)
        return _load_archive(path, limits)
    return read_model(files.get(path.name), suffix, files, limits=limits, strict=True)


def _load_by_blender(path: Path, files: FolderFiles, limits: AssetLimits, within: Path | None) -> Model:
    size = files.check(path.name)
    if size > limits.bytes:
        raise InputError(f"{path.name!r}: expected at most {limits.bytes} bytes, found {size}")
    from enpointe.render.blender.import_files import read_with_blender

    try:
        return read_with_blender(path, limits=limits, within=within)
    except DeviceError as error:  # the other assets do without
        raise InputError(f"{path.name!r}: {error}") from error


def _load_archive(path: Path, limits: AssetLimits) -> Model:
    """The one model that an archive holds."""
    with open_library(path) as archive:
        entry = _model_in(archive, path)
        files = ZipFiles(archive, posixpath.dirname(entry), limits)
        suffix = posixpath.splitext(entry)[1].lower()
        return read_model(files.get(posixpath.basename(entry)), suffix, files, limits=limits, strict=True)


def _model_in(archive: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    known = suffixes("read_model")
    models = [name for name in names if posixpath.splitext(name)[1].lower() in known]
    if len(models) != 1:
        raise InputError(f"{path.name!r}: expected an archive of one model ({', '.join(known)}), found {len(models)}")
    return models[0]
