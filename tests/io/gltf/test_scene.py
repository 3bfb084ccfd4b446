"""Triangles of glTF scenes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.hostile import CORNERS, FACES, buffer, glb, tree
from enpointe.io.assets.files import FolderFiles
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model


def read(folder: Path, data: bytes, kind: str, **options: Any) -> Model:
    return read_model(data, f".{kind}", FolderFiles(folder), **options)


@pytest.mark.parametrize(
    ("mode", "faces"), [(5, [(0, 1, 2), (1, 3, 2), (2, 3, 4)]), (6, [(0, 1, 2), (0, 2, 3), (0, 3, 4)])]
)
def test_strips_and_fans_are_triangles(tmp_path: Path, mode: int, faces: list[tuple[int, ...]]) -> None:
    points = np.random.default_rng(0).random((5, 3)).astype("<f4")
    made = tree(
        buffers=[{"uri": "p.bin", "byteLength": 60}], bufferViews=[{"buffer": 0, "byteLength": 60}],
        accessors=[{"bufferView": 0, "componentType": 5126, "count": 5, "type": "VEC3"}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": mode}]}],
    )  # fmt: skip
    (tmp_path / "p.bin").write_bytes(points.tobytes())
    model = read(tmp_path, json.dumps(made).encode(), "gltf")
    z_up = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
    np.testing.assert_allclose(model.triangles, z_up[np.array(faces)], atol=1e-6)


def test_nodes_place_their_meshes_and_mirrors_keep_faces_outside(tmp_path: Path) -> None:
    half = math.sqrt(0.5)
    nodes = [
        {"children": [1], "translation": [10, 0, 0]},
        {"mesh": 0, "rotation": [0, 0, half, half], "scale": [1, 1, -2]},  # a quarter turn about z
    ]
    model = read(tmp_path, glb(nodes=nodes), "glb")
    y_up = np.array([(10 - y, x, -2 * z) for x, y, z in CORNERS])
    expected = np.stack([y_up[:, 0], -y_up[:, 2], y_up[:, 1]], axis=1)[np.array(FACES)]
    np.testing.assert_allclose(model.triangles, expected[:, ::-1], atol=1e-5)


def test_skins_stand_where_their_joints_do(tmp_path: Path) -> None:
    """Of two joints, one has moved by (0, 0, 5) since it was bound; the mesh's own node has no say."""
    joints, weights = np.zeros((4, 4), "u1"), np.zeros((4, 4), "<f4")
    joints[2:, 0], weights[:, 0] = 1, 1
    inverse = np.stack([np.eye(4), np.eye(4)]).astype("<f4")
    inverse[1, 3, :3] = (-7, 0, 0)  # column-major
    data = buffer() + joints.tobytes() + weights.tobytes() + inverse.tobytes()
    made = tree(
        nodes=[{"mesh": 0, "skin": 0, "translation": [100, 0, 0]}, {}, {"translation": [7, 0, 5]}],
        scenes=[{"nodes": [0, 1, 2]}], skins=[{"joints": [1, 2], "inverseBindMatrices": 5}],
        materials=[{}], buffers=[{"uri": "p.bin", "byteLength": len(data)}],
    )  # fmt: skip
    made["meshes"][0]["primitives"][0]["attributes"] |= {"JOINTS_0": 3, "WEIGHTS_0": 4}
    for start, length, kind, count, shape in (
        (92, 16, 5121, 4, "VEC4"), (108, 64, 5126, 4, "VEC4"), (172, 128, 5126, 2, "MAT4"),
    ):  # fmt: skip
        made["accessors"].append(
            {"bufferView": len(made["bufferViews"]), "componentType": kind, "count": count, "type": shape}
        )
        made["bufferViews"].append({"buffer": 0, "byteOffset": start, "byteLength": length})
    (tmp_path / "p.bin").write_bytes(data)
    model = read(tmp_path, json.dumps(made).encode(), "gltf")
    moved = np.array(CORNERS) + np.array([(0, 0, 0)] * 2 + [(0, 0, 5)] * 2)
    expected = np.stack([moved[:, 0], -moved[:, 2], moved[:, 1]], axis=1)[np.array(FACES)]
    np.testing.assert_allclose(model.triangles, expected, atol=1e-5)
