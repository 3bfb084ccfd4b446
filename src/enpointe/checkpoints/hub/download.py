"""Released checkpoints brought into the user's cache: downloaded or imported, converted, pinned."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from enpointe.checkpoints.conversion import convert, read_released_state
from enpointe.checkpoints.hub.addresses import MIRRORS, RELEASE_URL
from enpointe.checkpoints.hub.cache import Pin, cache_dir, locked, read_pin, stamp_of, weights_path, write_pin
from enpointe.checkpoints.hub.transfer import RetryPolicy, discard, download
from enpointe.checkpoints.registry import ReleasedFile, released_file
from enpointe.checkpoints.weights import sha256
from enpointe.core.errors import InputError, OutputError, WeightsError
from enpointe.core.offline import SWITCHES, is_offline
from enpointe.core.progress import Progress, ProgressCallback, no_progress

_SLACK = 64_000_000
"""Bytes that a checkpoint may have beyond its weights in float32."""


def fetch(
    name: str, *, again: bool = False, retry: RetryPolicy | None = None, report: ProgressCallback | None = None
) -> Path:
    """The safetensors file of a released checkpoint in the user's cache, verified; downloaded if it is not there.

    Args:
        name: one of the released names.
        again: download it anew and forget the former checksum.
        retry: when requests are repeated.
        report: receives the progress of the download.

    Raises:
        InputError: no such name, or a mirror in ENPOINTE_MIRRORS that is no address.
        WeightsError: it is not there and cannot be had (no network, offline, every mirror fails), or what
            is there is not what it was at its first verified load.
        OutputError: no room, or a cache that cannot be written.
    """
    ensure(name, again=again, retry=retry, report=report)
    return weights_path(name)


def ensure(
    name: str, *, again: bool = False, retry: RetryPolicy | None = None, report: ProgressCallback | None = None
) -> Pin:
    """As `fetch`, but gives what is pinned: the digests of `weights_path(name)` and of what it came from."""
    release = released_file(name)
    path, pin = weights_path(name), read_pin(name)
    if not again and pin is not None and _is(name, path, pin):
        return pin
    if (again or not path.is_file()) and is_offline():
        raise WeightsError(
            f"{name}: expected its weights in {cache_dir()}; they cannot be downloaded, for {' or '.join(SWITCHES)} "
            f"is set. {_by_hand(name)}"
        )
    report = report or no_progress
    with locked(name, lambda: report(Progress(f"waiting for another process that holds {name}", 0, 0))):
        if path.is_file() and not again:  # perhaps since a moment ago, by another process
            return _verified(name, path)
        return _download(name, release, None if again else read_pin(name), retry or RetryPolicy(), report)


def import_file(source: Path, name: str, report: ProgressCallback | None = None) -> Pin:
    """Take a checkpoint from a file of the user's into the cache, in place of what is there.

    Raises:
        InputError: no such name.
        WeightsError: the file is not this model's checkpoint.
        OutputError: no room, or a cache that cannot be written.
    """
    released_file(name)
    read_released_state(source, name)  # before anything is made
    report = report or no_progress
    with locked(name, lambda: report(Progress(f"waiting for another process that holds {name}", 0, 0))):
        return _store(source, name, str(source.absolute()), sha256(source))


def mirrors() -> tuple[str, ...]:
    """Base addresses in the order in which they are tried: those in ENPOINTE_MIRRORS, then the release's.

    Raises:
        InputError: one of the former is not an http or https address.
    """
    own = os.environ.get("ENPOINTE_MIRRORS", "").replace(",", " ").split()
    for base in own:
        if not base.startswith(("https://", "http://")):
            raise InputError(f"ENPOINTE_MIRRORS: expected http or https addresses, got {base!r}")
    return tuple(base.rstrip("/") + "/" for base in (*own, *MIRRORS))


def _download(name: str, release: ReleasedFile, pin: Pin | None, retry: RetryPolicy, report: ProgressCallback) -> Pin:
    part = cache_dir() / f"{release.file}.part"
    failures = []
    for url in (base + release.file for base in mirrors()):
        try:
            download(url, part, limit=release.n_bytes + _SLACK, retry=retry, report=report)
            return _adopt(part, name, url, pin)
        except WeightsError as error:
            failures.append(f"{url}: {error}")
    raise WeightsError(f"{name}: expected to download its weights, found {'; '.join(failures)}. {_by_hand(name)}")


def _adopt(part: Path, name: str, url: str, pin: Pin | None) -> Pin:
    """Make a whole download the cached checkpoint; if it is not that, it goes."""
    try:
        digest = sha256(part)
        if pin is not None and digest != pin.source_sha256:
            raise WeightsError(
                f"expected SHA-256 {pin.source_sha256} as from {pin.source}, found {digest} "
                f"('enpointe models download {name} --again' takes it nevertheless)"
            )
        stored = _store(part, name, url, digest)
    except WeightsError:
        discard(part)
        raise
    discard(part)
    return stored


def _store(source: Path, name: str, origin: str, digest: str) -> Pin:
    target, size = weights_path(name), source.stat().st_size
    free = shutil.disk_usage(cache_dir()).free
    if free < size:
        raise OutputError(f"expected at least {size / 1e6:.0f} MB free at {cache_dir()}, found {free / 1e6:.0f} MB")
    convert(source, name, target)
    pin = _seen(target, digest, origin)
    write_pin(name, pin)
    return pin


def _verified(name: str, path: Path) -> Pin:
    pin = read_pin(name)
    if pin is None:  # put there by hand, or by a process that was killed just then
        read_released_state(path, name)
        pin = _seen(path, None, str(path))
        write_pin(name, pin)
    elif not _is(name, path, pin):
        raise WeightsError(
            f"{path}: expected SHA-256 {pin.sha256}, found {sha256(path)}: the file has changed since it was verified; "
            f"'enpointe models download {name} --again' replaces it"
        )
    return pin


def _is(name: str, path: Path, pin: Pin) -> bool:
    """Whether a file is the one that was pinned. Gigabytes are read only if something has changed since the last time.

    Where the pin cannot be written, they are read every time.
    """
    if not path.is_file() or path.stat().st_size != pin.n_bytes:
        return False
    stamp = stamp_of(path)
    if stamp == pin.stamp:
        return True
    if sha256(path) != pin.sha256:
        return False
    if stamp_of(path) == stamp:
        with suppress(OutputError):
            write_pin(name, replace(pin, stamp=stamp))
    return True


def _seen(path: Path, source_sha256: str | None, source: str) -> Pin:
    """The pin of a file in the cache; without a source_sha256 it is its own source."""
    stamp, digest = stamp_of(path), sha256(path)
    unchanged = stamp if stamp_of(path) == stamp else ""
    return Pin(digest, path.stat().st_size, source_sha256 or digest, source, unchanged)


def _by_hand(name: str) -> str:
    file = released_file(name).file
    return f"By hand: get {RELEASE_URL}{file} elsewhere and run 'enpointe models import {file} --as {name}'"
