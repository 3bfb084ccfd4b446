"""Arrays of NPZ files, read some rows at a time: 10,000 clouds need the memory of one batch.

A file is untrusted: nothing is unpickled, an array's header is held against its zip entry's size, and both
against limits, before memory is allocated.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io import npz

MEMORY_LIMIT = 1 << 31
"""Bytes that one batch, or one column-major array (which has no rows to read alone), may take."""

CLOUDS = "arr_0"
"""The release's name of an array of clouds (n, points, 3)."""


@dataclass(frozen=True)
class ArrayInfo:
    """What an array's header declares."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    column_major: bool = False


def npz_paths(pattern: str) -> tuple[list[Path], int | None]:
    """The files of a pattern, sorted, and how many of their rows are meant.

    Args:
        pattern: a path, with * and ? if many; `[:100]` at its end means the first 100 rows of all together.

    Raises:
        InputError: there is no such file.
    """
    limit = re.fullmatch(r"(.*)\[:(\d+)\]", pattern, re.DOTALL)
    raw = limit[1] if limit else pattern
    matches = sorted(glob.glob(raw))  # noqa: PTH207 - a pattern may be absolute, and hold folders' patterns
    paths = matches or ([raw] if Path(raw).is_file() else [])  # a name may hold brackets
    if not paths:
        raise InputError(f"{pattern}: expected NPZ files, found none")
    return [Path(path) for path in paths], int(limit[2]) if limit else None


def array_infos(path: Path) -> dict[str, ArrayInfo]:
    """The headers of a file's arrays, by name; InputError where it is no NPZ file."""
    with npz.open_archive(path, f"{path}: ") as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if len(names) > npz.ARRAY_LIMIT:
            raise InputError(f"{path}: expected at most {npz.ARRAY_LIMIT} arrays, found {len(names)}")
        infos = {}
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                infos[name] = _info(stream, name, f"{path}: array {name!r}")
        return infos


def stream_arrays(
    paths: Sequence[Path], names: Sequence[str], batch_size: int, limit: int | None = None
) -> Iterator[dict[str, NDArray[Any]]]:
    """The rows of the named arrays of all files together, in batches.

    Args:
        paths: read one after the other.
        names: arrays that have as many rows as each other in each file; at least one.
        batch_size: rows of every batch but the last; a batch may span files.
        limit: rows in all.

    Raises:
        InputError: a file is absent, damaged or truncated, lacks an array, declares more than it holds or
            more than `MEMORY_LIMIT` at once; arrays of different lengths, or of other row shapes in other files.
    """
    if batch_size < 1:
        raise InputError(f"batch size: expected at least 1, found {batch_size}")
    pending: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    held, left = 0, limit
    for path in paths:
        with ExitStack() as stack:
            columns = {name: stack.enter_context(_rows(path, name, batch_size)) for name in names}
            counts = {name: info.shape[0] for name, (info, _) in columns.items()}
            if len(set(counts.values())) != 1:
                raise InputError(f"{path}: expected arrays of one length, found {counts}")
            rows = min(counts.values()) if left is None else min(left, *counts.values())
            left = None if left is None else left - rows
            while rows:
                size = min(rows, batch_size - held)
                for name, (_, read) in columns.items():
                    pending[name].append(read(size))
                held, rows = held + size, rows - size
                if held == batch_size:
                    yield _joined(pending, path)
                    held = 0
        if left == 0:
            break
    if held:
        yield _joined(pending, path)


def stream_clouds(pattern: str, batch_size: int) -> Iterator[NDArray[Any]]:
    """Clouds (n, points, 3) of the release's sample files, n of at most `batch_size`.

    Raises:
        InputError: as `npz_paths` and `stream_arrays` do, or `arr_0` is no array of clouds.
    """
    paths, limit = npz_paths(pattern)
    for path in paths:
        info = array_infos(path).get(CLOUDS)
        if info is not None and (len(info.shape) != 3 or info.shape[2] != 3 or info.dtype.kind not in "fiu"):
            found = f"{info.dtype} {info.shape}"
            raise InputError(f"{path}: array {CLOUDS!r}: expected numbers of shape (n, points, 3), found {found}")
    for batch in stream_arrays(paths, [CLOUDS], batch_size, limit):
        yield batch[CLOUDS]


class _RowReader:
    """Rows of one array, in order."""

    def __init__(self, stream: IO[bytes], info: ArrayInfo, where: str) -> None:
        self._stream, self._info, self._where = stream, info, where
        self._read = 0
        self._whole = self._bytes(info.shape, order="F") if info.column_major else None

    def __call__(self, count: int) -> NDArray[Any]:
        self._read += count
        if self._whole is not None:
            return self._whole[self._read - count : self._read]
        return self._bytes((count, *self._info.shape[1:]))

    def _bytes(self, shape: tuple[int, ...], order: Any = "C") -> NDArray[Any]:
        size = prod(shape) * self._info.dtype.itemsize
        data = self._stream.read(size)
        if len(data) != size:
            raise InputError(f"{self._where}: expected {size} more bytes, found {len(data)}")
        return np.frombuffer(data, self._info.dtype).reshape(shape, order=order)


@contextmanager
def _rows(path: Path, name: str, batch_size: int) -> Iterator[tuple[ArrayInfo, _RowReader]]:
    where = f"{path}: array {name!r}"
    with npz.open_archive(path, f"{path}: ") as archive:
        if f"{name}.npy" not in archive.namelist():
            raise InputError(f"{where}: expected it, found {archive.namelist()[:8]}")
        entry = archive.getinfo(f"{name}.npy")
        with archive.open(entry) as stream:
            info = _info(stream, name, where)
            if not info.shape:
                raise InputError(f"{where}: expected rows, found a single number")
            if info.dtype.kind not in "fiub":
                raise InputError(f"{where}: expected numbers, found dtype {info.dtype}")
            size = prod(info.shape) * info.dtype.itemsize
            if stream.tell() + size != entry.file_size:
                found = f"{entry.file_size} with a header"
                raise InputError(f"{where}: expected {size} bytes for shape {info.shape}, found {found}")
            row = size // info.shape[0] if info.shape[0] else 0
            at_once = size if info.column_major else row * min(batch_size, info.shape[0])
            if at_once > MEMORY_LIMIT:
                raise InputError(f"{where}: expected at most {MEMORY_LIMIT} bytes at once, found {at_once}")
            yield info, _RowReader(stream, info, where)


def _info(stream: IO[bytes], name: str, where: str) -> ArrayInfo:
    shape, column_major, dtype = npz.read_header(stream, where)
    return ArrayInfo(name, shape, dtype, column_major)


def _joined(pending: dict[str, list[NDArray[Any]]], path: Path) -> dict[str, NDArray[Any]]:
    """The pending rows as one array each; nothing is pending afterwards."""
    batch = {}
    for name, parts in pending.items():
        shapes = sorted({part.shape[1:] for part in parts})
        if len(shapes) != 1:
            raise InputError(f"{path}: array {name!r}: expected rows of one shape in all files, found {shapes}")
        batch[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        parts.clear()
    return batch
