"""Arrays of glTF files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from data.hostile import CORNERS, tree
from enpointe.io.assets.files import FolderFiles
from enpointe.io.formats import read_model


def test_arrays_may_be_normalized_interleaved_and_sparse(tmp_path: Path) -> None:
    """Corners as signed bytes in rows of eight bytes, of which one corner is replaced."""
    rows = np.zeros((4, 8), "i1")
    rows[:, :3] = np.array(CORNERS) * 127
    data = rows.tobytes() + struct.pack("<H2x", 3) + np.array([(127, 127, -127)], "i1").tobytes()
    accessor = {
        "bufferView": 0, "componentType": 5120, "normalized": True, "count": 4, "type": "VEC3",
        "sparse": {
            "count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2},
        },
    }  # fmt: skip
    made = tree(
        buffers=[{"uri": "p.bin", "byteLength": len(data)}],
        bufferViews=[
            {"buffer": 0, "byteLength": 32, "byteStride": 8}, {"buffer": 0, "byteOffset": 32, "byteLength": 2},
            {"buffer": 0, "byteOffset": 36, "byteLength": 3},
        ],
        accessors=[accessor], meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 6}]}],
        extensionsRequired=["KHR_mesh_quantization"],
    )  # fmt: skip
    (tmp_path / "p.bin").write_bytes(data)
    model = read_model(json.dumps(made).encode(), ".gltf", FolderFiles(tmp_path))
    np.testing.assert_allclose(model.triangles[1, 2], (1, 1, 1), atol=1e-6)
    np.testing.assert_allclose(model.triangles[0, 2], (1, 0, 1), atol=1e-6)
