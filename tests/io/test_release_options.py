"""NPZ files that are open or have other names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.io import npz


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
