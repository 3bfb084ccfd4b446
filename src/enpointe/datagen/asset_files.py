"""Bytes of downloaded model files, from a folder or a zip library: never from outside it, never without bound."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from enpointe.errors import InputError

MAX_BYTES = 64 * 2**20
"""The largest file that is read; the largest of the known collections has 9 MB."""


class Files(Protocol):
    """What a model file may refer to (its buffers, materials and textures).

    Parsers survive a missing texture and hide the error; `refused` keeps the names that point outside.
    """

    refused: list[str]

    def get(self, name: str) -> bytes:
        """The bytes of `name` as written in the model file.

        Raises:
            InputError: the file is absent, too large, or not within the folder.
        """
        ...


class FolderFiles:
    """The files within a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.refused: list[str] = []

    def get(self, name: str) -> bytes:
        """See `Files.get`; links are followed before the check."""
        path = (self.folder / unquote(name)).resolve()
        if not path.is_relative_to(self.folder):
            self.refused.append(name)
            raise InputError(f"{name}: expected a file within {self.folder}, found one outside")
        return read_bounded(path)


class ZipFiles:
    """The entries of one folder of a zip archive."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self.archive = archive
        self.folder = folder
        self.refused: list[str] = []

    def get(self, name: str) -> bytes:
        """See `Files.get`. Absolute paths of the author's own machine stand for the file of that name here."""
        name = name.strip().replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":":
            name = posixpath.basename(name)
        entry = posixpath.normpath(posixpath.join(self.folder, name))
        if not entry.startswith(self.folder + "/"):
            self.refused.append(name)
            raise InputError(f"{name}: expected a file within {self.folder}, found one outside")
        return read_entry(self.archive, entry)


def read_bounded(path: Path) -> bytes:
    """A whole file of at most `MAX_BYTES`.

    Raises:
        InputError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a readable file, found {error}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, found more")
    return data


def open_library(path: Path) -> zipfile.ZipFile:
    """A zip archive, to be closed by the caller.

    Raises:
        InputError: it is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected a zip library of models, found {error}") from error


def read_entry(archive: zipfile.ZipFile, entry: str) -> bytes:
    """One entry of at most `MAX_BYTES` (a zip reader never gives more bytes than the entry declares).

    Raises:
        InputError: it is absent, damaged, encrypted or larger.
    """
    where = f"{archive.filename}: {entry}"
    try:
        info = archive.getinfo(entry)
    except KeyError as error:
        raise InputError(f"{where}: expected an entry of that name, found none") from error
    if info.file_size > MAX_BYTES:
        raise InputError(f"{where}: expected at most {MAX_BYTES} bytes, found {info.file_size}")
    try:
        return archive.read(info)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{where}: expected a readable entry, found {error}") from error
