"""The user's cache of released checkpoints: where it lies, what it holds, what it promised to hold.

For a checkpoint NAME it holds NAME.safetensors, the weights; NAME.json, the pin: which bytes these are and
where they came from, kept when the weights are deleted; NAME.lock; and while a download is on its way
FILE.part with FILE.part.json. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from enpointe.core.errors import OutputError, WeightsError
from enpointe.core.files import replacing


def cache_dir() -> Path:
    """The folder of downloaded weights: ENPOINTE_CACHE, else `enpointe` in the platform's cache folder.

    It is named here, not made.
    """
    chosen = os.environ.get("ENPOINTE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "enpointe"


def weights_path(name: str) -> Path:
    """Where the weights of a released checkpoint lie, once they are there."""
    return cache_dir() / f"{name}.safetensors"


@dataclass(frozen=True)
class Pin:
    """What is known of a checkpoint since its first verified load.

    Attributes:
        sha256: of the weights' file in the cache.
        n_bytes: its size.
        source_sha256: of the file that it was converted from.
        source: that file's address, or its path.
        stamp: the cached file's, see `stamp_of`, when it was last read and found to be this one.
    """

    sha256: str
    n_bytes: int
    source_sha256: str
    source: str
    stamp: str = ""


def stamp_of(path: Path) -> str:
    """What changes when a file does: its time of modification and, which cannot be set back, of any change."""
    status = path.stat()
    return f"{status.st_mtime_ns} {status.st_ctime_ns}"


def read_pin(name: str) -> Pin | None:
    """The pin of a checkpoint, if one was ever set.

    Raises:
        WeightsError: its file is not one of ours.
    """
    path = _pin_path(name)
    try:
        return Pin(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: expected the checksum of {name}, found {error}; remove the file") from error


def write_pin(name: str, pin: Pin) -> None:
    """Set the pin, atomically."""
    with replacing(_pin_path(name)) as file:
        file.write(json.dumps(dataclasses.asdict(pin), indent=1).encode())


def _pin_path(name: str) -> Path:
    return cache_dir() / f"{name}.json"


def make_cache() -> Path:
    """The cache's folder, made if need be.

    Raises:
        OutputError: it cannot be made.
    """
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: expected a folder for weights, found: {error.strerror or error}; ENPOINTE_CACHE names another"
        ) from error
    return folder


@contextmanager
def locked(name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a checkpoint against other processes; it is let go when the process ends, however it ends.

    Args:
        waiting: called once if another process holds it.

    Raises:
        OutputError: the cache cannot be written.
    """
    lock = FileLock(make_cache() / f"{name}.lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise OutputError(f"{lock.lock_file}: expected to lock this file, found {error}") from error
    try:
        yield
    finally:
        lock.release()
