"""One file over HTTP that is whole in the end: resumed, retried, checked as it comes. Needs no PyTorch."""

from __future__ import annotations

import http.client
import json
import random
import re
import shutil
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from email.message import Message
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from enpointe.core.errors import OutputError, WeightsError
from enpointe.core.files import replacing
from enpointe.core.progress import Progress, ProgressCallback

_CHUNK = 1 << 18
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Answers that may be another one a little later."""
_NOT_WEIGHTS = re.compile(r"text/|application/(json|xml|xhtml\+xml)\b")
_BEGINNINGS = (b"PK", b"\x80")
"""Of the files that torch.save writes: a zip archive, formerly a pickle."""


@dataclass(frozen=True)
class RetryPolicy:
    """When a request is repeated, and when a server is given up.

    Attributes:
        timeout: seconds without a byte, or with fewer than `slowest` bytes a second, until the connection is given up.
        attempts: that may fail in a row without the file growing.
        first_wait, longest_wait: seconds before the second attempt, doubled from one to the next up to the
            longest; each is shortened at random by up to a half, so that many clients do not come at once.
        slowest: bytes per second.
    """

    timeout: float = 30.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    slowest: float = 1024.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (at least one)."""
        return min(self.longest_wait, self.first_wait * 2 ** (failures - 1)) * random.uniform(0.5, 1)


class _TryAgainError(Exception):
    """The connection broke or the server is busy: the same may work later."""

    def __init__(self, reason: str, wait: float = 0.0, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.unreachable = unreachable


@dataclass(frozen=True)
class _Note:
    """What a partial file is part of: kept beside it, so that a later process can go on."""

    url: str
    validator: str
    total: int | None


def download(url: str, part: Path, *, limit: int, retry: RetryPolicy, report: ProgressCallback) -> None:
    """Bring a file whole to `part`, going on with what is there from an earlier attempt at the same address.

    What was received stays in `part` when this fails on the way. Only one process may do this to a file at a time.

    Args:
        limit: bytes that the file has at most.

    Raises:
        WeightsError: this server does not give the file; the message says why, without the address.
        OutputError: the disk has no room or cannot be written.
    """
    failures, furthest = 0, 0
    while True:
        try:
            return _attempt(url, part, limit, retry, report)
        except _TryAgainError as error:
            size = _size(part)
            failures = 1 if size > furthest else failures + 1
            furthest = max(furthest, size)
            if failures >= retry.attempts or (error.unreachable and size == 0):
                raise WeightsError(f"{error}, after {failures} attempt{'s' if failures > 1 else ''}") from error
            time.sleep(max(retry.wait(failures), min(error.wait, retry.longest_wait)))


def discard(part: Path) -> None:
    """Remove a partial file and what is noted about it."""
    with suppress(OSError):
        part.unlink(missing_ok=True)
        _note_path(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, limit: int, retry: RetryPolicy, report: ProgressCallback) -> None:
    note = _read_note(part)
    have = _size(part) if note is not None and note.url == url else 0
    if note is not None and have and have == note.total:
        return
    headers = {"User-Agent": "enpointe", "Accept-Encoding": "identity"}
    if note is not None and have and note.validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
    try:
        with urlopen(Request(url, headers=headers), timeout=retry.timeout) as response:
            _check_answer(url, response)
            offset, total = _extent(response, note, part)
            if total is not None and not 0 < total <= limit:
                raise WeightsError(f"expected up to {limit} bytes, found a file of {total}")
            _check_room(part, 2 * (total or limit) - offset)  # twice: what comes is converted afterwards
            with _opened(part, offset) as file:
                if offset == 0:
                    note = _Note(url, _validator(response.headers), total)
                    _write_note(part, note)
                end = _receive(response, file, offset, total, limit, retry, report)
        if total is None and note is not None:
            _write_note(part, replace(note, total=end))  # known now: nobody need ask for the rest again
    except HTTPError as error:
        error.close()
        raise _answer_error(error, part) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        if isinstance(error, OutputError):
            raise
        raise _connection_error(error) from error


def _receive(
    response: http.client.HTTPResponse,
    file: FileIO,
    offset: int,
    total: int | None,
    limit: int,
    retry: RetryPolicy,
    report: ProgressCallback,
) -> int:
    """Append the body to `file`. Returns the file's size."""
    done, stage = offset, f"downloading {Path(urlsplit(response.url).path).name}"
    since, then = time.monotonic(), done
    report(Progress(stage, done, total or 0, "B"))
    while chunk := response.read1(_CHUNK):
        if done == 0 and not any(chunk.startswith(known) or known.startswith(chunk) for known in _BEGINNINGS):
            raise WeightsError(f"expected a checkpoint, found a file that begins with {chunk[:24]!r}")
        done += len(chunk)
        if done > (limit if total is None else total):
            raise WeightsError(f"expected {total or limit} bytes, found more")
        _write(file, chunk)
        report(Progress(stage, done, total or 0, "B"))
        now = time.monotonic()
        if now - since > retry.timeout:
            if done - then < retry.slowest * retry.timeout:
                raise _TryAgainError(f"{done - then} bytes came in {now - since:.0f} s")
            since, then = now, done
    if total is not None and done < total:
        raise _TryAgainError(f"the connection was closed at {done} of {total} bytes")
    return done


def _extent(response: http.client.HTTPResponse, note: _Note | None, part: Path) -> tuple[int, int | None]:
    """Where in the file the body begins, and how long the whole file is, if the server says so."""
    length = response.headers.get("Content-Length", "")
    declared = int(length) if length.isdecimal() else None
    if response.status == 200:
        return 0, declared
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip())
    if response.status != 206 or found is None:
        raise WeightsError(f"expected the file, found HTTP {response.status}")
    offset, total = int(found[1]), int(found[2])
    have = _size(part)
    if offset != have or note is None or note.total not in (None, total) or declared not in (None, total - offset):
        discard(part)  # not the rest of what is here: from the beginning, then
        raise _TryAgainError(f"expected bytes from {have} on, found {found[0]}")
    return offset, total


def _check_answer(url: str, response: http.client.HTTPResponse) -> None:
    kind = response.headers.get("Content-Type", "").strip().lower()
    if _NOT_WEIGHTS.match(kind):
        raise WeightsError(f"expected a checkpoint, found a page of type {kind}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise WeightsError(f"expected the file as it is, found it encoded as {encoding}")
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise WeightsError(f"expected an encrypted connection, was sent to {response.url}")


def _check_room(part: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < n_bytes:
        raise OutputError(
            f"expected at least {n_bytes / 1e6:.0f} MB free at {part.parent}, found {free / 1e6:.0f} MB; "
            "ENPOINTE_CACHE names another folder"
        )


def _opened(part: Path, offset: int) -> FileIO:
    """The partial file, to be written from `offset` on; unbuffered, so that a kill loses nothing received."""
    try:
        return part.open("ab" if offset else "wb", buffering=0)
    except OSError as error:
        raise OutputError(f"{part}: expected to write, found: {error.strerror or error}") from error


def _write(file: FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise OutputError(f"{file.name}: expected to write, found: {error.strerror or error}") from error


def _answer_error(error: HTTPError, part: Path) -> Exception:
    if error.code == 416:  # what is here is longer than the file is there
        discard(part)
        return _TryAgainError("HTTP 416")
    message = f"HTTP {error.code} {error.reason}"
    if error.code not in _PASSING:
        return WeightsError(message)
    after = error.headers.get("Retry-After", "") if error.headers else ""
    return _TryAgainError(message, float(after) if after.isdecimal() else 0.0)


def _connection_error(error: Exception) -> Exception:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return WeightsError(f"its certificate is not trusted ({reason.verify_message})")
    words = "no answer in time" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
    return _TryAgainError(words, unreachable=isinstance(reason, socket.gaierror))


def _validator(headers: Message) -> str:
    """What If-Range takes: a strong ETag, or the date of the last change; "" if the server gives neither."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> _Note | None:
    """What is noted of a partial file; None if there is nothing, or nothing to make sense of."""
    try:
        values: dict[str, Any] = json.loads(_note_path(part).read_text(encoding="utf-8"))
        return _Note(**values)
    except (OSError, ValueError, TypeError):
        return None


def _write_note(part: Path, note: _Note) -> None:
    with replacing(_note_path(part)) as file:
        file.write(json.dumps(asdict(note)).encode())
