"""Files that are whole or absent, and what their names say."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from enpointe.core.errors import InputError, OutputError

BYTES_PER_FILE = 10_000_000
"""Room that one file may take: a cloud of 65,536 points and a 128-grid mesh stay below it."""
_MAX_SLUG = 60


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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusals into an OutputError that names `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to {path}: {error.strerror or error}") from error


def check_file(path: Path, n_bytes: int = BYTES_PER_FILE) -> Path:
    """The path, if a file can be written there now; OutputError if not."""
    with writing(path):
        if path.is_dir():
            raise OutputError(f"expected a file to write to, got a folder: {path}")
        if not path.parent.is_dir():
            raise OutputError(f"expected an existing folder to write {path.name} to, got {path.parent}")
        with tempfile.TemporaryFile(dir=path.parent):
            check_room(path.parent, n_bytes)
    return path


def check_room(folder: Path, n_bytes: int) -> None:
    """OutputError where the folder's disk has less free than that."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OutputError(f"expected at least {n_bytes / 1e6:.0f} MB free at {folder}, got {free / 1e6:.1f} MB")


def slug(prompt: str) -> str:
    """A file name for a prompt: a to z, 0 to 9 and single dashes, 1 to 69 characters.

    Where letters were lost (another script, a long text), eight digits of a hash keep different prompts apart.
    """
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    whole = not any(c.isalnum() and not unicodedata.normalize("NFKD", c)[0].isascii() for c in prompt)
    short = words if len(words) <= _MAX_SLUG else words[:_MAX_SLUG].rsplit("-", 1)[0]
    if words and whole and short == words:
        return words
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{short or 'prompt'}-{digest}"
