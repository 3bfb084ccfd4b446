"""STL files: bare triangles, z up by custom, as printers use them."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import GRAY, ModelBuilder
from enpointe.io.assets.files import Files
from enpointe.io.assets.model import Material
from enpointe.io.formats import FORMATS, Format

_STL_HEADER, _STL_FACE = 84, 50


def read_model(data: bytes, files: Files, builder: ModelBuilder) -> None:
    """See `Format.read_model`; corners at one place are one vertex."""
    corners = _text_stl(data) if _is_text(data) else _binary_stl(data, builder)
    builder.add(corners, builder.add_material(Material(np.array(GRAY, np.float32)), colored=False))


def _is_text(data: bytes) -> bool:
    """Binary files may start with "solid" too, but their size is what they declare."""
    if not data[:512].lstrip().lower().startswith(b"solid"):
        return False
    return len(data) < _STL_HEADER or len(data) != _STL_HEADER + _STL_FACE * struct.unpack_from("<I", data, 80)[0]


def _binary_stl(data: bytes, builder: ModelBuilder) -> NDArray[np.float64]:
    if len(data) < _STL_HEADER:
        raise InputError(f"expected a header of {_STL_HEADER} bytes, found {len(data)}")
    (count,) = struct.unpack_from("<I", data, 80)
    builder.room_for(count)
    if len(data) < _STL_HEADER + _STL_FACE * count:
        raise InputError(f"expected {_STL_FACE} bytes for each of {count} triangles, found {len(data)} bytes in all")
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    table = np.frombuffer(data, kind, count, _STL_HEADER)
    return table["corners"].astype(np.float64)


def _text_stl(data: bytes) -> NDArray[np.float64]:
    if b"endsolid" not in data.lower():
        raise InputError("expected 'endsolid' at the end, found none")
    rows = [line.split()[1:] for line in data.splitlines() if line.lstrip()[:6].lower() == b"vertex"]
    try:
        corners = np.array([[float(word) for word in row] for row in rows])
    except ValueError as error:
        raise InputError(f"expected three numbers for each vertex, found {error}") from error
    if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) % 3:
        raise InputError(f"expected three vertices of three numbers for each triangle, found {len(rows)} vertices")
    return corners.reshape(-1, 3, 3)


FORMATS.register(".stl")(Format(read_model=read_model))
