"""A model from a file of any format, also of those that only Blender reads, and from an archive of one model."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path

from enpointe.core.errors import DeviceError, InputError
from enpointe.io.assets.files import FolderFiles, ZipFiles, open_library
from enpointe.io.assets.limits import LIMITS, AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model, suffixes

BLENDER_SUFFIXES = (".dae", ".fbx")
"""Formats that only Blender reads."""


def model_suffixes() -> tuple[str, ...]:
    """Those of all files that `load_model` reads."""
    return (*suffixes("read_model"), *BLENDER_SUFFIXES, ".zip")


def load_model(path: Path, limits: AssetLimits = LIMITS, within: Path | None = None) -> Model:
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
