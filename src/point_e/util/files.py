"""NPZ files by name or open, for clouds and meshes: arrays of any plain type, texts too."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import replacing

File = str | Path | BinaryIO


def read_arrays(f: File) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file; nothing in it is run. A missing file is the usual FileNotFoundError.

    Raises:
        InputError: no NPZ file, a damaged one, or one that holds objects.
    """
    if isinstance(f, str | Path):
        with Path(f).open("rb") as file:
            return read_arrays(file)
    name = getattr(f, "name", "file")
    try:
        loaded = np.load(f, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                return {key: value for key, value in loaded.items() if isinstance(value, np.ndarray)}
        found = "a single array"
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError) as error:
        found = str(error)
    raise InputError(f"{name}: expected an NPZ file, a zip of numpy arrays, found: {found}")


def write_arrays(f: File, arrays: Mapping[str, ArrayLike]) -> None:
    """Write an NPZ file; under a name it is whole or absent.

    Raises:
        InputError: an array of objects, which could only be stored as code.
    """
    if isinstance(f, str | Path):
        with replacing(f) as file:
            write_arrays(file, arrays)
        return
    with zipfile.ZipFile(f, "w") as archive:
        for name, values in arrays.items():
            array = np.asanyarray(values)
            if array.dtype.hasobject:
                raise InputError(f"{name}: expected an array of plain values, found one of {array.dtype}")
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
