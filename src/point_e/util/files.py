"""NPZ files by name or open, for clouds and meshes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from enpointe.core.files import replacing
from enpointe.io import npz

File = str | Path | BinaryIO


def read_arrays(f: File) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file; nothing in it is run. A missing file is the usual FileNotFoundError."""
    if isinstance(f, str | Path):
        with Path(f).open("rb") as file:
            return npz.read_stream(file, Path(f))[0]
    return npz.read_stream(f, Path(str(getattr(f, "name", "file"))))[0]


def write_arrays(f: File, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an NPZ file; under a name it is whole or absent."""
    if isinstance(f, str | Path):
        with replacing(f) as file:
            npz.write(file, arrays, None)
    else:
        npz.write(f, arrays, None)
