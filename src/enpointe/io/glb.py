"""glTF 2.0: GLB files and glTF files with what lies beside them are read, GLB files of one mesh are written.

Format: Khronos, "glTF 2.0 Specification" (ISO/IEC 12113:2022). Of a scene, skins are posed as the file's nodes
stand; animations and morph targets are left out, as are points and lines. Its axes have y up and its vertices' colors
are linear; ours have z up and are sRGB.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.provenance import KEY
from enpointe.geometry.colors import to_linear
from enpointe.geometry.mesh import Mesh
from enpointe.io.assets.axes import y_up
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import Files
from enpointe.io.formats import FORMATS, Format
from enpointe.io.gltf.document import Document, read_tree
from enpointe.io.gltf.scene import add_scene

HEAD = struct.Struct("<4sII")  # magic, version, length of all
CHUNK = struct.Struct("<I4s")  # length, type
JSON_CHUNK, DATA_CHUNK = b"JSON", b"BIN\0"
FLOAT, UINT = 5126, 5125
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963


def write_mesh(file: BinaryIO, mesh: Mesh, provenance: Mapping[str, Any] | None) -> None:
    """See `Format.write_mesh`: one node, one mesh, matte; `provenance` stands under asset.extras.enpointe."""
    parts: list[tuple[str, NDArray[Any]]] = [("POSITION", y_up(mesh.vertices)), ("NORMAL", y_up(_unit(mesh)))]
    if mesh.colors is not None:
        # Floats: eight linear bits would merge the dark shades.
        parts.append(("COLOR_0", to_linear(mesh.colors)))
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


def read_glb(data: bytes, files: Files, builder: ModelBuilder) -> None:
    """See `Format.read_model`."""
    add_scene(Document(data, files, builder.limits, binary=True), builder)


def read_gltf(data: bytes, files: Files, builder: ModelBuilder) -> None:
    """See `Format.read_model`."""
    add_scene(Document(data, files, builder.limits, binary=False), builder)


def read_provenance(data: bytes) -> dict[str, Any] | None:
    """See `Format.read_provenance`."""
    tree, _ = read_tree(data, binary=True)
    asset = tree.get("asset")
    extras = asset.get("extras") if isinstance(asset, dict) else None
    found = extras.get(KEY) if isinstance(extras, dict) else None
    return found if isinstance(found, dict) else None


FORMATS.register(".glb")(Format(read_model=read_glb, y_up=True, read_provenance=read_provenance, write_mesh=write_mesh))
FORMATS.register(".gltf")(Format(read_model=read_gltf, y_up=True))
