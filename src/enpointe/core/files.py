"""Files that are whole or absent, and what their names say."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from enpointe.core.errors import InputError, OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that stands under `path` once the block ends, replacing what was there.

    Any error, also Ctrl-C, leaves `path` as it was and nothing beside it; one from the file system becomes
    OutputError.
    """
    with replacing_name(path) as temporary, temporary.open("xb") as file:
        yield file


@contextmanager
def replacing_name(
    path: str | Path, *, what: str = "a file", errors: tuple[type[Exception], ...] = ()
) -> Iterator[Path]:
    """The same for writers that want a name: the file that they leave there stands under `path` afterwards.

    errors: what such a writer raises of its own where the file system fails; these become OutputError too.
    """
    path = Path(path)
    temporary = path.parent / f".{secrets.token_hex(6)}.tmp"  # short: the name given may be as long as allowed
    caught: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield temporary
        temporary.replace(path)
    except caught as error:
        if isinstance(error, OutputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path}: expected a place to write {what}, found: {reason}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def read_bytes(path: Path) -> bytes:
    """The file's content; an InputError where there is no such file to read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a file to read, found: {error.strerror or error}") from None


def known_suffix(path: Path, known: Iterable[str]) -> str:
    """The lower-case suffix of `path`, one of `known`."""
    suffix = path.suffix.lower()
    if suffix not in known:
        found = f"{suffix!r}" if suffix else "no suffix"
        raise InputError(f"{path}: expected a file name ending in {', '.join(known)}, found {found}")
    return suffix
