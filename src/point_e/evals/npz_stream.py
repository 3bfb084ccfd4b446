"""The release's reading of sample files, a batch at a time; a file is untrusted, and nothing in it is run."""

from __future__ import annotations

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.samples.npz_stream import MEMORY_LIMIT, array_infos, npz_paths

Batch = dict[str, NDArray[Any]]


@dataclass
class NumpyArrayInfo:
    """What the header of an array in an NPZ file says."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def infos_from_first_file(cls, glob_path: str) -> dict[str, NumpyArrayInfo]:
        """`infos_from_file` of a pattern's first file."""
        return cls.infos_from_file(_npz_paths_and_length(glob_path)[0][0])

    @classmethod
    def infos_from_file(cls, npz_path: str) -> dict[str, NumpyArrayInfo]:
        """Each array's header, by name."""
        if not Path(npz_path).exists():
            raise FileNotFoundError(f"{npz_path}: expected an NPZ file, found none")
        infos = array_infos(Path(npz_path))
        return {name: cls(name=name, dtype=info.dtype, shape=info.shape) for name, info in infos.items()}

    @property
    def elem_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape[1:]

    def validate(self) -> None:
        """Hold a batch of samples against the shapes and types that the release takes for images and clouds."""
        if self.name in {"R", "G", "B"}:
            if len(self.shape) != 2:
                raise InputError(f"{self.name}: expected 2 dimensions, found shape {self.shape}")
        elif self.name == "arr_0":
            if len(self.shape) < 2:
                raise InputError(f"arr_0: expected at least 2 dimensions, found shape {self.shape}")
            if len(self.shape) == 3 and not np.issubdtype(self.dtype, np.floating):
                raise InputError(f"arr_0: expected floats for 3 dimensions, found {self.dtype}")
            if len(self.shape) != 3 and self.dtype != np.uint8:
                raise InputError(f"arr_0: expected uint8 for {len(self.shape)} dimensions, found {self.dtype}")


class NpzStreamer:
    """The rows of all files of a pattern, which may end in `[:100]` for the first 100."""

    def __init__(self, glob_path: str) -> None:
        self.paths, self.trunc_length = _npz_paths_and_length(glob_path)
        self.infos = NumpyArrayInfo.infos_from_file(self.paths[0])

    def keys(self) -> list[str]:
        """Names of the first file's arrays."""
        return list(self.infos)

    def stream(self, batch_size: int, keys: Sequence[str]) -> Iterator[Batch]:
        """Batches of the named arrays' rows; a batch may span files, and only the last may be shorter."""
        pending: list[Batch] = []
        wanted, left = batch_size, self.trunc_length
        for path in self.paths:
            with open_npz_arrays(path, keys) as readers:
                reader = CombinedReader(list(keys), readers)
                while left is None or left > 0:
                    batch = reader.read_batch(wanted if left is None else min(wanted, left))
                    if batch is None:
                        break
                    pending.append(batch)
                    count = _dict_batch_size(batch)
                    wanted, left = wanted - count, None if left is None else left - count
                    if wanted == 0:
                        yield _joined(pending, path)
                        pending, wanted = [], batch_size
        if pending:
            yield _joined(pending, self.paths[-1])


class NpzArrayReader(ABC):
    """An array's rows, in order."""

    @abstractmethod
    def read_batch(self, batch_size: int) -> NDArray[Any] | None:
        """The next rows, at most so many; None when there are no more."""


class StreamingNpzArrayReader(NpzArrayReader):
    """Of an open file that stands behind the array's header, row-major: no more is read than is asked for."""

    def __init__(self, arr_f: IO[bytes], shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.arr_f = arr_f
        self.shape = shape
        self.dtype = dtype
        self.idx = 0

    def read_batch(self, batch_size: int) -> NDArray[Any] | None:
        rows = min(batch_size, self.shape[0] - self.idx)
        if rows <= 0:
            return None
        self.idx += rows
        shape = (rows, *self.shape[1:])
        if self.dtype.itemsize == 0:  # texts of no letters
            return np.empty(shape, self.dtype)
        data = _read_bytes(self.arr_f, prod(shape) * self.dtype.itemsize, "array data")
        return np.frombuffer(data, self.dtype).reshape(shape)


class MemoryNpzArrayReader(NpzArrayReader):
    """Of an array that is held as a whole."""

    def __init__(self, arr: NDArray[Any]) -> None:
        self.arr = arr
        self.idx = 0

    @classmethod
    def load(cls, path: str, arr_name: str) -> MemoryNpzArrayReader:
        """An array of a file; one of objects is an InputError."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays[arr_name])
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: expected an array {arr_name!r} of plain values, found: {error}") from None

    def read_batch(self, batch_size: int) -> NDArray[Any] | None:
        rows = self.arr[self.idx : self.idx + batch_size]
        self.idx += len(rows)
        return rows if len(rows) else None


class CombinedReader:
    """The rows of several arrays of one length, by name."""

    def __init__(self, keys: Sequence[str], readers: Sequence[NpzArrayReader]) -> None:
        self.keys = keys
        self.readers = readers

    def read_batch(self, batch_size: int) -> Batch | None:
        """The next rows of each, as many of one as of the other; None when there are no more."""
        parts = [reader.read_batch(batch_size) for reader in self.readers]
        lengths = {0 if part is None else len(part) for part in parts}
        if len(lengths) > 1:
            raise InputError(f"{', '.join(self.keys)}: expected arrays of one length, found others")
        return {key: part for key, part in zip(self.keys, parts, strict=True) if part is not None} or None


@contextmanager
def open_npz_arrays(path: str, arr_names: Sequence[str]) -> Iterator[list[NpzArrayReader]]:
    """Readers of the named arrays.

    Raises:
        InputError: no such file or array, or one that is damaged, holds objects, or whose rows take too much memory.
    """
    infos = array_infos(Path(path))
    with ExitStack() as stack:
        readers: list[NpzArrayReader] = []
        for name in arr_names:
            stream = stack.enter_context(open_array(path, name))
            info = infos[name]
            if info.column_major or info.dtype.hasobject:
                readers.append(MemoryNpzArrayReader.load(path, name))
                continue
            _skip_header(stream)
            if not info.shape or prod(info.shape[1:]) * info.dtype.itemsize > MEMORY_LIMIT:
                raise InputError(f"{path}: array {name!r}: expected rows of at most {MEMORY_LIMIT} bytes")
            readers.append(StreamingNpzArrayReader(stream, info.shape, info.dtype))
        yield readers


@contextmanager
def open_array(path: str, arr_name: str) -> Iterator[IO[bytes]]:
    """An array in a file, as bytes with its header."""
    with zipfile.ZipFile(path) as archive:
        if f"{arr_name}.npy" not in archive.namelist():
            raise InputError(f"{path}: expected an array {arr_name!r}, found {archive.namelist()[:8]}")
        with archive.open(f"{arr_name}.npy") as stream:
            yield stream


def _skip_header(stream: IO[bytes]) -> None:
    version = np.lib.format.read_magic(stream)
    (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)


def _npz_paths_and_length(glob_path: str) -> tuple[list[str], int | None]:
    """The files of a pattern, sorted, and how many of their rows are meant."""
    paths, length = npz_paths(glob_path)
    return [str(path) for path in paths], length


def _read_bytes(fp: IO[bytes], size: int, error_template: str = "ran out of data") -> bytes:
    """So many bytes; a shorter or damaged file is an InputError that names them by error_template."""
    try:
        data = fp.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise InputError(f"{error_template}: expected {size} bytes, found {error}") from None
    if len(data) != size:
        raise InputError(f"{error_template}: expected {size} bytes, found {len(data)}")
    return data


def _dict_batch_size(objs: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(objs.values())))


def _joined(parts: Sequence[Batch], path: str) -> Batch:
    """The rows of all parts."""
    for name in parts[0]:
        shapes = {part[name].shape[1:] for part in parts}
        if len(shapes) > 1:
            raise InputError(f"{path}: array {name!r}: expected rows of one shape in all files, found {shapes}")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
