"""GLB files as they are written."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from enpointe.geometry import Mesh


def test_glb_follows_the_standard(mesh: Mesh, tmp_path: Path) -> None:
    mesh.save(tmp_path / "m.glb", {"seed": 7, "nested": {"a": [1, 2.5]}})
    data = (tmp_path / "m.glb").read_bytes()
    magic, version, length, json_size = struct.unpack_from("<4sIII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    tree = json.loads(data[20 : 20 + json_size])
    assert tree["asset"]["extras"]["enpointe"] == {"seed": 7, "nested": {"a": [1, 2.5]}}
    top = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert top["max"] == [1, 3, 0]  # y up: our height of 3 is its second axis, our depth of 2 its third, negated
    assert top["min"] == [0, 0, -2]
    color = tree["bufferViews"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    values = np.frombuffer(data, "<f4", 12, 20 + json_size + 8 + color["byteOffset"]).reshape(4, 3)
    assert values[2] == pytest.approx(0.2140, abs=1e-4)  # sRGB 0.5 is 21.4 % of the light
    assert all(view["byteOffset"] % 4 == 0 for view in tree["bufferViews"])
