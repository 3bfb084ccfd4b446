"""The GLB format (glTF 2.0, binary): one mesh with vertex colours.

glTF has y up and linear vertex colours; ours are z up and sRGB: both are converted here, both ways.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.provenance import KEY
from enpointe.geometry.mesh import Mesh

HEAD = struct.Struct("<4sII")  # magic, version, length of all
CHUNK = struct.Struct("<I4s")  # length, type
JSON_CHUNK, DATA_CHUNK = b"JSON", b"BIN\0"
FLOAT, UINT = 5126, 5125
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963


def y_up(vectors: NDArray[Any]) -> NDArray[Any]:
    """(n, 3) from z up to y up; the front, our -y, becomes glTF's +z."""
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], axis=1)


def z_up(vectors: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `y_up`."""
    return np.stack([vectors[:, 0], -vectors[:, 2], vectors[:, 1]], axis=1)


def linear_from_srgb(colors: NDArray[Any]) -> NDArray[Any]:
    """IEC 61966-2-1."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(colors: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `linear_from_srgb`."""
    return np.where(colors <= 0.0031308, colors * 12.92, 1.055 * np.maximum(colors, 0) ** (1 / 2.4) - 0.055)


def write(file: BinaryIO, mesh: Mesh, provenance: Mapping[str, Any] | None) -> None:
    """One node, one mesh, matte; `provenance` stands under asset.extras.enpointe."""
    parts: list[tuple[str, NDArray[Any]]] = [("POSITION", y_up(mesh.vertices)), ("NORMAL", y_up(_unit(mesh)))]
    if mesh.colors is not None:
        # Floats: eight linear bits would merge the dark shades.
        parts.append(("COLOR_0", linear_from_srgb(mesh.colors)))
    blobs = [values.astype("<f4").tobytes() for _, values in parts] + [mesh.faces.astype("<u4").tobytes()]
    accessors: list[dict[str, Any]] = [
        {"bufferView": i, "componentType": FLOAT, "count": len(values), "type": "VEC3"}
        for i, (_, values) in enumerate(parts)
    ]
    positions = parts[0][1]
    accessors[0] |= {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    accessors.append({"bufferView": len(parts), "componentType": UINT, "count": mesh.faces.size, "type": "SCALAR"})
    starts = np.cumsum([0, *(len(blob) for blob in blobs)]).tolist()
    asset: dict[str, Any] = {"version": "2.0", "generator": KEY}
    if provenance:
        asset["extras"] = {KEY: dict(provenance)}
    tree = {
        "asset": asset,
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {name: i for i, (name, _) in enumerate(parts)},
                        "indices": len(parts),
                        "material": 0,
                    }
                ]
            }
        ],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.9}, "doubleSided": True}],
        "accessors": accessors,
        "bufferViews": [
            {
                "buffer": 0,
                "byteOffset": start,
                "byteLength": len(blob),
                "target": VERTEX_BUFFER if i < len(parts) else INDEX_BUFFER,
            }
            for i, (start, blob) in enumerate(zip(starts[:-1], blobs, strict=True))
        ],
        "buffers": [{"byteLength": starts[-1]}],
    }
    text = json.dumps(tree, default=str).encode("ascii")
    text += b" " * (-len(text) % 4)
    file.write(HEAD.pack(b"glTF", 2, HEAD.size + 2 * CHUNK.size + len(text) + starts[-1]))
    file.write(CHUNK.pack(len(text), JSON_CHUNK) + text + CHUNK.pack(starts[-1], DATA_CHUNK))
    for blob in blobs:
        file.write(blob)


def _unit(mesh: Mesh) -> NDArray[Any]:
    """Normals, all of length 1 as glTF demands: upwards where a vertex has none."""
    return np.where(np.abs(mesh.normals).max(axis=1, keepdims=True) > 0, mesh.normals, np.array([0, 0, 1], np.float32))


def read_tree(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON of a GLB, its lengths and counts held against the file's size; InputError where they disagree."""
    if len(data) < HEAD.size + CHUNK.size or data[:4] != b"glTF":
        raise InputError(f"{path}: expected a GLB file, starting with 'glTF', found {data[:12]!r}")
    _, version, length = HEAD.unpack_from(data)
    size, kind = CHUNK.unpack_from(data, HEAD.size)
    if version != 2 or kind != JSON_CHUNK:
        raise InputError(f"{path}: expected glTF version 2 and its JSON first, found version {version}, {kind!r}")
    start = HEAD.size + CHUNK.size
    if length > len(data) or start + size > len(data):
        raise InputError(f"{path}: expected {max(length, start + size)} bytes, found {len(data)}")
    try:
        tree = json.loads(data[start : start + size])
        counts = [accessor["count"] for accessor in tree.get("accessors", [])]
        counted = sum(counts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected glTF's JSON, found {type(error).__name__}: {error}") from None
    if not all(isinstance(count, int) and count >= 0 for count in counts) or counted > len(data):
        raise InputError(f"{path}: expected at most {len(data)} values in a file of that size, found {counted}")
    found: dict[str, Any] = tree
    return found
