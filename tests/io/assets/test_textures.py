"""Textures as pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.io.assets.builder import ModelBuilder
from enpointe.io.assets.files import FolderFiles, MissingFileError, Siblings
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.textures import fetch_texture, mean_color, read_texture


@pytest.mark.parametrize("shape", [(1, 1), (37, 512), (300, 7)])
def test_a_textures_mean_is_that_of_all_its_pixels(shape: tuple[int, int]) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (*shape, 4), dtype=np.uint8)
    expected = (texture[..., :3].astype(np.float64).mean(axis=(0, 1)) / 255).astype(np.float32)
    np.testing.assert_array_equal(mean_color(texture), expected)


def test_grays_of_sixteen_bits_keep_their_brightness() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(file, "png")
    texture = read_texture(file.getvalue(), "gray.png", AssetLimits())
    np.testing.assert_array_equal(texture, np.full((2, 2, 4), (156, 156, 156, 255)))


def test_a_lost_texture_is_noted_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    builder = ModelBuilder(AssetLimits())
    for name in ("broken.png", "gone.png"):
        assert fetch_texture(FolderFiles(tmp_path), name, builder) is None
        with pytest.raises(InputError, match=name):
            fetch_texture(FolderFiles(tmp_path), name, ModelBuilder(AssetLimits(), strict=True))
    assert [text.split(":")[0] for text in builder.lost] == ["'broken.png'", "'gone.png'"]
    with pytest.raises(InputError, match="outside"):
        fetch_texture(FolderFiles(tmp_path), "../gone.png", builder)
    with pytest.raises(MissingFileError, match="outside"):
        Siblings(tmp_path).get("../gone.png")
