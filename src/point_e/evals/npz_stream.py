"""The release's names for `enpointe.evaluation.samples.npz_stream`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.samples.npz_stream import array_infos, npz_paths, stream_arrays

__all__ = ["NpzStreamer", "NumpyArrayInfo"]


@dataclass
class NumpyArrayInfo:
    """What the header of an array in an NPZ file says."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def infos_from_first_file(cls, glob_path: str) -> dict[str, NumpyArrayInfo]:
        """`infos_from_file` of a pattern's first file."""
        return cls.infos_from_file(str(npz_paths(glob_path)[0][0]))

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
        """Hold a batch of samples against the shapes and types that the release takes for pictures and clouds."""
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
        paths, self.trunc_length = npz_paths(glob_path)
        self.paths = [str(path) for path in paths]
        self.infos = NumpyArrayInfo.infos_from_file(self.paths[0])

    def keys(self) -> list[str]:
        """Names of the first file's arrays."""
        return list(self.infos)

    def stream(self, batch_size: int, keys: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """Batches of the named arrays' rows."""
        return stream_arrays([Path(path) for path in self.paths], keys, batch_size, self.trunc_length)
