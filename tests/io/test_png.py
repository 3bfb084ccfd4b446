"""Images as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enpointe.core.errors import InputError
from enpointe.io.png import save_image


def test_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    save_image(image, tmp_path / "i.png", {"seed": 7})
    with Image.open(tmp_path / "i.png") as again:
        assert np.array_equal(np.asarray(again), image)
        assert json.loads(again.info["enpointe"]) == {"seed": 7}
    with pytest.raises(InputError, match="expected uint8"):
        save_image(image / 255, tmp_path / "i.png")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"ending in \.png, found '\.jpg'"):
        save_image(image, tmp_path / "i.jpg")
