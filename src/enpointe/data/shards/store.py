"""A folder of files, on this machine or behind any URL that fsspec knows (s3://, gs://, memory:// ...)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from enpointe.core.errors import InputError, OutputError
from enpointe.core.files import read_bytes, replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class Store:
    """Files by name in one folder; each appears whole or not at all."""

    def __init__(self, place: str | Path) -> None:
        """Open nothing yet; InputError where a URL is of a kind that is not known, or not installed."""
        self.place = str(place)
        self.folder: Path | None = None
        self._fs: AbstractFileSystem | None = None
        if "://" not in self.place:
            self.folder = Path(place)
            return
        from fsspec.core import url_to_fs

        try:
            self._fs, self._root = url_to_fs(self.place.rstrip("/"))
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"{self.place}: expected a place that can be opened, found: {error}") from error

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        if self.folder is not None:
            return (self.folder / name).is_file()
        return bool(self._call("isfile", name))

    def names(self) -> list[str]:
        """Of everything that lies in it, sorted; empty where there is no such folder."""
        if self.folder is not None:
            return sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []
        if not self._call("isdir", ""):
            return []
        listed: list[str] = self._call("ls", "", detail=False)
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in listed)

    def read(self, name: str) -> bytes:
        """The whole file.

        Raises:
            InputError: it is absent or cannot be read.
        """
        if self.folder is not None:
            return read_bytes(self.folder / name)
        data: bytes = self._call("cat_file", name)
        return data

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that stands under `name` once the block ends, replacing what was there.

        Raises:
            OutputError: it cannot be written.
        """
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.folder}: expected a folder to write to, found: {error.strerror}") from error
            with replacing(self.folder / name) as file:
                yield file
            return
        with tempfile.TemporaryDirectory(prefix="enpointe-") as folder:
            local = Path(folder) / "file"
            with local.open("xb") as file:
                yield file
            try:
                self._call("put_file", name, source=str(local))
            except InputError as error:
                raise OutputError(str(error)) from error

    def write(self, name: str, data: bytes) -> None:
        """See `writing`."""
        with self.writing(name) as file:
            file.write(data)

    def _call(self, what: str, name: str, *, source: str | None = None, **options: Any) -> Any:
        """A method of the file system; its libraries raise errors of any type."""
        path = f"{self._root}/{name}" if name else self._root
        paths = (path,) if source is None else (source, path)
        try:
            return getattr(self._fs, what)(*paths, **options)
        except FileNotFoundError as error:
            raise InputError(f"{self.place}/{name}: expected a file to read, found none") from error
        except Exception as error:
            raise InputError(
                f"{self.place}/{name}: expected to reach it, found {type(error).__name__}: {error}"
            ) from error
