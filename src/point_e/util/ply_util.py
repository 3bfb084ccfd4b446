"""PLY files as the release writes them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from numpy.typing import ArrayLike

from enpointe.core.errors import InputError
from enpointe.geometry.checks import numeric, triples, unit_colors
from enpointe.io import ply

COLOR_SCALE = 255.499
"""The release's; see `enpointe.io.ply.write`."""


def write_ply(
    raw_f: BinaryIO | io.RawIOBase, coords: ArrayLike, rgb: ArrayLike | None = None, faces: ArrayLike | None = None
) -> None:
    """Write points (n, 3), with colours (n, 3) in [0, 1] and triangles (f, 3) if any, to an open file.

    Raises:
        InputError: other shapes, numbers that are not finite, colours out of range.
    """
    points = triples(coords, "coords")
    colors = None if rgb is None else unit_colors(rgb, len(points), "rgb")
    corners = None if faces is None else numeric(faces, "faces")
    if corners is not None and (corners.ndim != 2 or corners.shape[1] != 3):
        raise InputError(f"faces: expected shape (f, 3), found {corners.shape}")
    with buffered_writer(raw_f) as file:
        ply.write(file, points, colors, corners, color_scale=COLOR_SCALE)


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
