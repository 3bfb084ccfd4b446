"""Bytes of downloaded model files, from a folder or a zip library: never from outside it, never without bound."""

from __future__ import annotations

import os
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from enpointe.core.errors import InputError
from enpointe.io.assets.limits import LIMITS, AssetLimits


class MissingFileError(InputError):
    """A model refers to a file that is not there."""


class OutsideFileError(InputError):
    """A model refers to a file outside its folder."""


class Files(Protocol):
    """What a model file may refer to: its buffers, materials and textures."""

    def get(self, name: str) -> bytes:
        """The bytes of `name` as written in the model file.

        Raises:
            MissingFileError: there is no such file.
            OutsideFileError: it is not within the folder.
            InputError: it is not readable, or more than the asset's share of bytes.
        """
        ...


class FolderFiles:
    """The files within a folder, until their bytes together exceed the limit.

    Names are relative to it. `within` is one above it that they may lead to instead.
    """

    def __init__(self, folder: Path, limits: AssetLimits = LIMITS, within: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.within = self.folder if within is None else within.resolve()
        self.left = limits.bytes

    def get(self, name: str) -> bytes:
        """See `Files.get`; links are followed before the check."""
        data = read_bounded(self._find(name), self.left)
        self.left -= len(data)
        return data

    def check(self, name: str) -> int:
        """The size of a file that another library is to read.

        Raises:
            InputError: it is not there, not within the folder, or no regular file.
        """
        return _regular_size(self._find(name))

    def _find(self, name: str) -> Path:
        for candidate in _spellings(name):
            try:
                path = (self.folder / candidate).resolve()
                within, there = path.is_relative_to(self.within), path.exists()
            except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a zero byte, too long a name
                raise InputError(f"{name[:80]!r}: expected the name of a file, found {error!r:.120}") from error
            if not within:
                raise OutsideFileError(f"{name!r}: expected a file within the model's own folder, found one outside")
            if there:
                return path
        raise MissingFileError(f"{name!r}: expected a file within the model's folder, found none")


class Siblings(FolderFiles):
    """The files beside a user's own model, of which those elsewhere are missing, not forbidden."""

    def get(self, name: str) -> bytes:
        """See `Files.get`."""
        try:
            return super().get(name)
        except OutsideFileError as error:
            raise MissingFileError(str(error)) from None


class ZipFiles:
    """The entries of one folder of a zip archive, until their bytes together exceed the limit."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, limits: AssetLimits = LIMITS) -> None:
        self.archive = archive
        self.folder = posixpath.normpath(folder)
        self.left = limits.bytes

    def get(self, name: str) -> bytes:
        """See `Files.get`."""
        for candidate in _spellings(name):
            entry = posixpath.normpath(posixpath.join(self.folder, candidate))
            if entry.startswith(("/", "../")) or (self.folder != "." and not entry.startswith(self.folder + "/")):
                raise OutsideFileError(f"{name!r}: expected a file within the model's own folder, found one outside")
            if entry in self.archive.NameToInfo:
                data = read_entry(self.archive, entry, self.left)
                self.left -= len(data)
                return data
        raise MissingFileError(f"{name!r}: expected a file within the model's folder, found none")


def _spellings(name: str) -> Iterator[str]:
    """The ways in which writers of model files mean a name: as it is, percent-encoded, with backslashes.

    Absolute paths of the author's own machine stand for the file of that name in the folder; they are
    never looked up themselves.
    """
    name = name.strip()
    slashes = name.replace("\\", "/")
    if slashes.startswith("/") or slashes[1:3] == ":/":
        yield posixpath.basename(slashes) or "."
        return
    yield name
    for other in (unquote(name), slashes):
        if other != name:
            # What hides in an encoding is still held against the folder by the caller.
            yield other


def read_bounded(path: Path, most: int = LIMITS.bytes) -> bytes:
    """A whole regular file of at most `most` bytes.

    Raises:
        InputError: it cannot be read, is larger, or is a pipe, device or folder, which may have no end.
    """
    size = _regular_size(path)
    if size > most:
        raise InputError(f"{path.name!r}: expected at most {most} bytes, found {size}")
    try:
        with path.open("rb") as file:
            data = file.read(size + 1)  # it may grow meanwhile
    except OSError as error:
        raise InputError(f"{path.name!r}: expected a readable file, found {error}") from error
    if len(data) > size:
        raise InputError(f"{path.name!r}: expected {size} bytes, found more while it was read")
    return data


def _regular_size(path: Path) -> int:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name!r}: expected a readable file, found {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path.name!r}: expected a regular file, found {stat.filemode(status.st_mode)}")
    return status.st_size


def open_library(path: Path) -> zipfile.ZipFile:
    """A zip archive, to be closed by the caller.

    Raises:
        InputError: it is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected a zip library of models, found {error}") from error


def kept_library(path: Path) -> zipfile.ZipFile:
    """`open_library` of one that many models come from: stays open, since its list takes as long to read as a model."""
    return _kept_library(path, os.getpid())  # processes that fork would share one place in the file


@lru_cache(maxsize=8)
def _kept_library(path: Path, process: int) -> zipfile.ZipFile:
    return open_library(path)


def read_entry(archive: zipfile.ZipFile, entry: str, most: int = LIMITS.bytes) -> bytes:
    """One entry of at most `most` bytes (a zip reader never gives more bytes than the entry declares).

    Raises:
        InputError: it is absent, damaged, encrypted or larger.
    """
    where = f"{archive.filename}: {entry}"
    try:
        info = archive.getinfo(entry)
    except KeyError as error:
        raise InputError(f"{where}: expected an entry of that name, found none") from error
    if info.file_size > most:
        raise InputError(f"{where}: expected at most {most} bytes, found {info.file_size} declared")
    try:
        return archive.read(info)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{where}: expected a readable entry, found {error}") from error
