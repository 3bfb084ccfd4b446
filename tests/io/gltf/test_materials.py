"""Materials of glTF files."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.hostile import Json, glb, png
from enpointe.io.assets.files import FolderFiles
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model


def rgba(*pixels: tuple[int, int, int, int]) -> bytes:
    """An image of one row."""
    file = io.BytesIO()
    Image.fromarray(np.array([pixels], np.uint8)).save(file, "png")
    return file.getvalue()


def with_material(tmp_path: Path, material: Json, skin: bytes, **changes: Any) -> Model:
    return read_model(glb(skin=skin, materials=[material], **changes), ".glb", FolderFiles(tmp_path), strict=True)


@pytest.mark.parametrize(
    ("mode", "coverage"),
    [
        ({}, (255, 255)),
        ({"alphaMode": "MASK"}, (255, 0)),
        ({"alphaMode": "MASK", "alphaCutoff": 0.2}, (255, 255)),
        ({"alphaMode": "BLEND"}, (200, 100)),
    ],
)
def test_coverage_is_the_materials_business(tmp_path: Path, mode: Json, coverage: tuple[int, int]) -> None:
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}} | mode
    model = with_material(tmp_path, material, rgba((1, 2, 3, 200), (4, 5, 6, 100)))
    texture = model.materials[-1].texture
    assert texture is not None
    np.testing.assert_array_equal(texture[0, :, 3], coverage)


def test_the_older_kind_of_material_is_known(tmp_path: Path) -> None:
    material = {"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}}}
    model = with_material(tmp_path, material, png())
    np.testing.assert_allclose(model.materials[0].color, (1, 0, 0))


def test_a_texture_may_be_scaled_turned_and_moved(tmp_path: Path) -> None:
    info = {
        "index": 0,
        "extensions": {"KHR_texture_transform": {"offset": [0.5, 0.25], "scale": [2, 3], "rotation": math.pi / 2}},
    }
    model = with_material(tmp_path, {"pbrMetallicRoughness": {"baseColorTexture": info}}, png())
    # Of a corner at (u, v), downwards: scaled (2u, 3v), turned (3v, -2u), moved.
    u, v = np.array([(0, 0), (1, 0), (1, 1)], float).T
    np.testing.assert_allclose(model.uv[0], np.stack([3 * v + 0.5, 1 - (-2 * u + 0.25)], axis=1), atol=1e-6)
