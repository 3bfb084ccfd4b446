"""Options that the release's files need: its rounding of PLY colours, NPZ files that are open or have other names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.io import npz, ply


def colors_written(scale: float, colors: list[float]) -> list[int]:
    file = io.BytesIO()
    ply.write(file, np.zeros((1, 3), np.float32), np.array([colors], np.float32), color_scale=scale)
    return list(file.getvalue()[-3:])


def test_the_scale_of_colours_rounds_between_steps_only() -> None:
    assert colors_written(255.0, [0.0, 0.998, 1.0]) == [0, 254, 255]
    assert colors_written(255.499, [0.0, 0.998, 1.0]) == [0, 255, 255]
    for step in range(256):
        assert colors_written(255.499, [step / 255] * 3) == [step] * 3


def test_an_open_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "arrays.data"
    with path.open("wb") as file:
        npz.write(file, {"a": np.arange(3), "b": np.eye(2)}, {"prompt": "a cup"})
    for source in (path, io.BytesIO(path.read_bytes())):
        arrays, provenance = npz.read_stream(source, path)
        assert arrays["a"].tolist() == [0, 1, 2]
        assert arrays["b"].shape == (2, 2)
        assert provenance == {"prompt": "a cup"}
    with pytest.raises(InputError, match=r"arrays\.data: expected an NPZ file"):
        npz.read_stream(io.BytesIO(b"no zip"), path)
    with pytest.raises(InputError, match=r"expected a file name ending in \.npz"):
        npz.read(path)
