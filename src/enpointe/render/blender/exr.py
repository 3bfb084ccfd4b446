"""Reading the OpenEXR files that Blender writes: one part, scan lines, uncompressed, 32-bit floats."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError

_MAGIC = 20000630
_SINGLE_PART_SCAN_LINES = (2, 2 | 0x400)
"""Version 2 without tiles, deep data or parts; the flag allows long names."""
_FLOAT, _UNCOMPRESSED, _TOP_DOWN = 2, b"\0", b"\0"


def read_exr(path: Path) -> dict[str, NDArray[np.float32]]:
    """Channels (h, w) by name, the first row on top.

    Format: "OpenEXR File Layout", openexr.com.

    Raises:
        InputError: the file is absent, damaged, or of another kind than the above.
    """
    try:
        data = path.read_bytes()
        magic, version = struct.unpack_from("<II", data)
        if magic != _MAGIC or version not in _SINGLE_PART_SCAN_LINES:
            raise InputError(f"{path.name}: expected OpenEXR scan lines, found {data[:8]!r}")
        attributes, at = _attributes(data)
        if (attributes["compression"], attributes["lineOrder"]) != (_UNCOMPRESSED, _TOP_DOWN):
            raise InputError(f"{path.name}: expected uncompressed rows from top to bottom, found others")
        left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
        height, width = bottom - top + 1, right - left + 1
        names = _channels(attributes["channels"])
        row = np.dtype([("y", "<i4"), ("bytes", "<i4"), ("values", "<f4", (len(names), width))])
        rows = np.frombuffer(data, row, count=height, offset=at + 8 * height)  # behind a table of places
        if not (rows["y"] == np.arange(top, bottom + 1)).all():
            raise InputError(f"{path.name}: expected rows {top} to {bottom} in their order, found another")
    except (OSError, struct.error, KeyError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name}: expected an OpenEXR file, found {error!r:.200}") from error
    return {name: rows["values"][:, index] for index, name in enumerate(names)}


def _attributes(data: bytes) -> tuple[dict[str, bytes], int]:
    """The header's values by name, and where it ends."""
    found, at = {}, 8
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        if size < 0:
            raise ValueError(f"an attribute of {size} bytes")
        found[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found, at + 1


def _channels(data: bytes) -> list[str]:
    names, at = [], 0
    while data[at]:
        name, at = _text(data, at)
        kind, _, *sampling = struct.unpack_from("<4i", data, at)
        if kind != _FLOAT or sampling != [1, 1]:
            raise ValueError(f"channel {name} of kind {kind}, sampled {sampling}")
        names.append(name)
        at += 16
    return names


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode("utf-8"), end + 1
