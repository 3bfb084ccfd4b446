"""PLY files as the release writes them, byte for byte, and no stricter."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError

COLOR_SCALE = 255.499
"""The release's, so that a color of 1 and steps of 1 / 255 come out right, and what is a little off too."""


def write_ply(
    raw_f: BinaryIO | io.RawIOBase, coords: ArrayLike, rgb: ArrayLike | None = None, faces: ArrayLike | None = None
) -> None:
    """Write points (n, 3), with colors (n, 3) in [0, 1] and triangles (f, 3) if any, to an open file.

    None at all is fine, and so is NaN in the points. Colors may leave [0, 1] as far as they are rounded to 0 or 255.

    Raises:
        InputError: other shapes, numbers that a PLY file of the release cannot hold.
    """
    points, header = _rows(coords, "coords"), ["ply", "format binary_little_endian 1.0"]
    header += [f"element vertex {len(points)}", *(f"property float {axis}" for axis in "xyz")]
    kinds: list[Any] = [("position", "<f4", 3)] + ([("color", "u1", 3)] if rgb is not None else [])
    vertices = np.empty(len(points), kinds)
    vertices["position"] = _float32(points)
    if rgb is not None:
        vertices["color"] = _bytes(_rows(rgb, "rgb"), len(points))
        header += [f"property uchar {color}" for color in ("red", "green", "blue")]
    triangles = np.empty(0 if faces is None else len(_rows(faces, "faces")), [("length", "u1"), ("corners", "<u4", 3)])
    if faces is not None:
        triangles["length"], triangles["corners"] = 3, _corners(_rows(faces, "faces"))
        header += [f"element face {len(triangles)}", "property list uchar int vertex_index"]
    with buffered_writer(raw_f) as file:
        file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
        file.write(vertices.tobytes())
        file.write(triangles.tobytes())


@contextmanager
def buffered_writer(raw_f: IO[bytes] | io.RawIOBase) -> Iterator[BinaryIO]:
    """The file itself if it is buffered, else a buffer over it that is flushed at the end."""
    if not isinstance(raw_f, io.RawIOBase):
        yield cast(BinaryIO, raw_f)
        return
    buffer = io.BufferedWriter(raw_f)
    try:
        yield buffer
    finally:
        buffer.detach()  # flushes, and leaves the file open


def _rows(values: ArrayLike, name: str) -> NDArray[Any]:
    """Numbers (n, 3); nothing is (0, 3)."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # a ragged list
        raise InputError(f"{name}: expected shape (n, 3), found {error}") from None
    if array.size == 0:
        return np.empty((0, 3))
    if array.dtype.kind not in "fiub" or array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name}: expected shape (n, 3) of numbers, found {array.dtype} {array.shape}")
    return array


def _float32(points: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        small = points.astype(np.float32)
    if (np.isinf(small) & np.isfinite(points)).any():
        raise InputError(f"coords: expected numbers that float32 can hold, found up to {np.abs(points).max():g}")
    return small


def _bytes(rgb: NDArray[Any], count: int) -> NDArray[np.uint8]:
    if len(rgb) != count:
        raise InputError(f"rgb: expected {count} rows, one for each point, found {len(rgb)}")
    scaled = np.round(rgb * COLOR_SCALE)
    if not ((scaled >= 0) & (scaled <= 255)).all():
        raise InputError(f"rgb: expected values in [0, 1], found {rgb.min():g} to {rgb.max():g}")
    return scaled.astype(np.uint8)


def _corners(faces: NDArray[Any]) -> NDArray[np.uint32]:
    whole = faces.dtype.kind in "iu" or len(faces) == 0
    if not whole or (len(faces) and not 0 <= faces.min() <= faces.max() < 2**32):
        raise InputError(f"faces: expected whole numbers from 0, found {faces.dtype} from {faces.min()}")
    return faces.astype(np.uint32)
