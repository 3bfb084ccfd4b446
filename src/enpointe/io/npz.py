"""The Point-E release's cloud files: a zip of arrays coords (n, 3), R, G, B (n,) and further channels (n,).

A file is untrusted: nothing is unpickled, and each array's header is held against the zip entry's size and a
limit before it is unpacked, for a kilobyte of zip can unpack to a gigabyte.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.provenance import from_json, to_json
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.formats import FORMATS, CloudArrays, Format

POINT_LIMIT = 1 << 24
ARRAY_LIMIT = 64
COMMENT_LIMIT = 65535  # bytes of remark that a zip can carry
RELEASE_COLORS = ("R", "G", "B")


def read_arrays(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """The arrays of an open file by name, and the provenance if it carries any; InputError where it is no such file."""
    with open_archive(file) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        if len(entries) > ARRAY_LIMIT:
            raise InputError(f"expected at most {ARRAY_LIMIT} arrays, found {len(entries)}")
        arrays = {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}
        return arrays, _provenance(archive)


@contextmanager
def open_archive(file: BinaryIO | Path, where: str = "") -> Iterator[zipfile.ZipFile]:
    """The opened zip; whatever is wrong with it, then or while it is read, becomes an InputError, behind `where`."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{where}expected a file to read, found: {error.strerror or error}") from None
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, tokenize.TokenError
    ) as error:  # fmt: skip
        raise InputError(f"{where}expected an NPZ file, a zip of numpy arrays, found: {error}") from None


def _provenance(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    return from_json(archive.comment.decode("utf-8", "replace"))


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    where = f"array {entry.filename.removesuffix('.npy')!r}"
    with archive.open(entry) as stream:
        shape, column_major, kind = read_header(stream, where)
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


def read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """An array's shape, whether its columns follow one another, and its type; `where` is its name in messages."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"{where}: expected format 1.0 or 2.0, found {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, kind = read(stream)
    if min(shape, default=0) < 0:
        raise InputError(f"{where}: expected a shape from 0, found {shape}")
    return shape, column_major, kind


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any] | None) -> None:
    """An uncompressed NPZ of the arrays; the provenance, where it is short enough, is the zip's comment.

    Not an array more: the release's reader takes every one for a channel.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
        remark = to_json(provenance).encode("ascii") if provenance else b""
        archive.comment = remark if len(remark) <= COMMENT_LIMIT else b""


def read_cloud(data: bytes) -> CloudArrays:
    """See `Format.read_cloud`."""
    arrays, _ = read_arrays(io.BytesIO(data))
    if "coords" not in arrays:
        raise InputError(f"expected an array 'coords', found {', '.join(map(repr, arrays)) or 'no array'}")
    points = arrays.pop("coords")
    missing = [name for name in RELEASE_COLORS if name not in arrays]
    if missing and len(missing) < len(RELEASE_COLORS):
        raise InputError(f"expected arrays R, G and B or none of them, found no {', '.join(missing)}")
    colors = None if missing else _stack([arrays.pop(name) for name in RELEASE_COLORS], len(points))
    # Other arrays of the file, if they are not one value for each point, are none of a cloud's business.
    return CloudArrays(points, colors, {n: values for n, values in arrays.items() if values.shape == points.shape[:1]})


def _stack(columns: list[NDArray[Any]], count: int) -> NDArray[Any]:
    if any(column.shape != (count,) for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise InputError(f"expected R, G, B of shape ({count},), found {shapes}")
    return np.stack(columns, axis=1)


def read_provenance(data: bytes) -> dict[str, Any] | None:
    """See `Format.read_provenance`."""
    with open_archive(io.BytesIO(data)) as archive:
        return _provenance(archive)


def write_cloud(file: BinaryIO, cloud: PointCloud, provenance: Mapping[str, Any] | None) -> None:
    """See `Format.write_cloud`; exact, with every channel."""
    colors = {name: cloud.colors[:, i] for i, name in enumerate(RELEASE_COLORS)}
    write_arrays(file, {"coords": cloud.points, **colors, **cloud.channels}, provenance)


FORMATS.register(".npz")(
    Format(read_cloud=read_cloud, read_provenance=read_provenance, write_cloud=write_cloud, channels=True)
)
