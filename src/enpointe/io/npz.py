"""The Point-E release's cloud files: a zip of arrays coords (n, 3), R, G, B (n,) and further channels (n,).

A file is untrusted: nothing is unpickled, and each array's header is held against the zip entry's size and a
limit before it is unpacked, for a kilobyte of zip can unpack to a gigabyte.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix
from enpointe.core.provenance import from_json, to_json

POINT_LIMIT = 1 << 24
ARRAY_LIMIT = 64
COMMENT_LIMIT = 65535  # bytes of remark that a zip can carry


def read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """The arrays by name, and the provenance if the file carries any; InputError where it is no such file."""
    known_suffix(path, [".npz"])
    return read_stream(path, path)


def read_stream(file: Path | BinaryIO, path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """The same from an open file, or one of another suffix; `path` is its name in messages."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            if len(entries) > ARRAY_LIMIT:
                raise InputError(f"{path}: expected at most {ARRAY_LIMIT} arrays, found {len(entries)}")
            arrays = {entry.filename.removesuffix(".npy"): _read_array(archive, entry, path) for entry in entries}
            return arrays, from_json(archive.comment.decode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"{path}: expected a file to read, found: {error.strerror or error}") from None
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, tokenize.TokenError
    ) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected an NPZ file, a zip of numpy arrays, found: {error}") from None


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    where = f"{path}: array {entry.filename.removesuffix('.npy')!r}"
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{where}: expected format 1.0 or 2.0, found {version}")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, column_major, kind = header(stream)
        if kind.kind not in "fiub":
            raise InputError(f"{where}: expected numbers, found dtype {kind}")
        size = prod(shape) * kind.itemsize
        if prod(shape) > 3 * POINT_LIMIT:
            raise InputError(f"{where}: expected at most {POINT_LIMIT} points, found shape {shape}")
        if stream.tell() + size != entry.file_size:
            raise InputError(f"{where}: expected {size} bytes for shape {shape}, found {entry.file_size} with a header")
        data = stream.read(size)
        if len(data) != size:
            raise InputError(f"{where}: expected {size} bytes, found {len(data)}")
    return np.frombuffer(data, dtype=kind).reshape(shape, order="F" if column_major else "C")


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any] | None) -> None:
    """An uncompressed NPZ of the arrays; the provenance, where it is short enough, is the zip's comment.

    Not an array more: the release's reader takes every one for a channel.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
        remark = to_json(provenance).encode("ascii") if provenance else b""
        archive.comment = remark if len(remark) <= COMMENT_LIMIT else b""
