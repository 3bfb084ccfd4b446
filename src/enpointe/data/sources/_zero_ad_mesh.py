"""Meshes of 0 A.D.'s engine Pyrogenesis (.pmd, versions 3 and 4).

Layout (little-endian): "PSMD", version, size of the rest; vertices, uv sets (from version 4 on), each vertex
as position, normal, uvs, 4 bone numbers (255 for none), 4 weights; triangles of 16-bit numbers; bones as
position and rotation (x, y, z, w); prop points as name, position, rotation, bone. Vertices stand where the
bones hold them at rest. Axes: y up, left-handed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import take
from enpointe.io.assets.limits import AssetLimits

_MAGIC = int.from_bytes(b"PSMD", "little")
_NO_BONE = 255
_MAX_NAME = 256


@dataclass(frozen=True)
class Pmd:
    """A mesh in the engine's axes.

    Attributes:
        corners: (f, 3, 3).
        uv: (f, 3, 2) of the first set, v upwards.
        props: name -> mesh_from_prop (4, 4): where other meshes are put on.
    """

    corners: NDArray[np.float64]
    uv: NDArray[np.float64]
    props: dict[str, NDArray[np.float64]]


def read_pmd(data: bytes, limits: AssetLimits) -> Pmd:
    """A mesh from a file's bytes.

    Raises:
        InputError: the file is damaged, of another version, or has more triangles than it may.
    """
    cursor = _Cursor(data)
    magic, version, _ = cursor.unpack("<III")
    if magic != _MAGIC or version not in (3, 4):
        raise InputError(f"expected a PMD file of version 3 or 4, found {data[:4]!r} and {version}")
    (count,) = cursor.unpack("<I")
    uv_sets = cursor.unpack("<I")[0] if version >= 4 else 1
    if not 1 <= uv_sets <= 8:
        raise InputError(f"expected 1 to 8 sets of texture coordinates, found {uv_sets}")
    vertex = np.dtype([("position", "<f4", 3), ("normal", "<f4", 3), ("uv", "<f4", (uv_sets, 2)), ("blend", "V20")])
    vertices = cursor.table(vertex, count)
    (face_count,) = cursor.unpack("<I")
    limits.check_faces(face_count)
    faces = cursor.table(np.dtype(("<u2", 3)), face_count).astype(np.int64)
    bones = _placements(cursor.table(np.dtype([("position", "<f4", 3), ("rotation", "<f4", 4)]), *cursor.unpack("<I")))
    corners = take(vertices["position"].astype(np.float64), faces, "vertices")
    uv = take(vertices["uv"][:, 0].astype(np.float64), faces, "vertices")
    return Pmd(corners, uv, _props(cursor, bones))


class _Cursor:
    """Reads on and on; InputError where the file ends too soon."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        self._check(struct.calcsize(layout))
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def table(self, kind: np.dtype, count: int) -> NDArray:  # type: ignore[type-arg]
        self._check(kind.itemsize * count)
        rows = np.frombuffer(self.data, kind, count, self.at)
        self.at += kind.itemsize * count
        return rows

    def _check(self, needed: int) -> None:
        if self.at + needed > len(self.data):
            raise InputError(f"expected {needed} bytes more from byte {self.at} on, found {len(self.data) - self.at}")


def _props(cursor: _Cursor, bones: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    props = {}
    kind = np.dtype([("position", "<f4", 3), ("rotation", "<f4", 4), ("bone", "u1")])
    for _ in range(cursor.unpack("<I")[0]):
        (length,) = cursor.unpack("<I")
        if length > _MAX_NAME:
            raise InputError(f"expected the name of a prop point of at most {_MAX_NAME} letters, found {length}")
        name = bytes(cursor.table(np.dtype("u1"), length)).decode("utf-8", "replace")
        row = cursor.table(kind, 1)
        matrix = _placements(row)[0]
        if row["bone"][0] != _NO_BONE:
            matrix = take(bones, np.array(int(row["bone"][0])), "bones") @ matrix
        props[name] = matrix
    return props


def _placements(rows: NDArray) -> NDArray[np.float64]:  # type: ignore[type-arg]
    """Matrices (n, 4, 4) of positions and rotations."""
    q = rows["rotation"].astype(np.float64)
    length = np.linalg.norm(q, axis=1, keepdims=True)
    x, y, z, w = (q / np.where(length > 0, length, 1)).T
    matrices = np.tile(np.eye(4), (len(rows), 1, 1))
    matrices[:, 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=1)
    matrices[:, 1, :3] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=1)
    matrices[:, 2, :3] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
    matrices[:, :3, 3] = rows["position"]
    return matrices
