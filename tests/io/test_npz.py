"""The release's files of clouds: exact, and refused where they are not sound."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.geometry import PointCloud
from enpointe.io import npz


def test_npz_keeps_every_bit_and_channel(cloud: PointCloud, tmp_path: Path) -> None:
    cloud.save(tmp_path / "c.npz")
    again = PointCloud.load(tmp_path / "c.npz")
    assert np.array_equal(again.points, cloud.points)
    assert np.array_equal(again.colors, cloud.colors)
    assert np.array_equal(again.channels["material"], cloud.channels["material"])


def test_npz_is_the_releases_format(cloud: PointCloud, tmp_path: Path) -> None:
    cloud.save(tmp_path / "c.npz", {"prompt": "a cup"})
    with np.load(tmp_path / "c.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"coords", "R", "G", "B", "material"}
        assert np.array_equal(arrays["coords"], cloud.points)
        assert np.array_equal(arrays["G"], cloud.colors[:, 1])


def test_npz_written_by_numpy_compressed_and_column_major(tmp_path: Path) -> None:
    points = np.asfortranarray(np.random.default_rng(1).random((9, 3)))
    np.savez_compressed(tmp_path / "c.npz", coords=points, R=np.zeros(9), G=np.ones(9), B=np.ones(9), note=np.zeros(4))
    cloud = PointCloud.load(tmp_path / "c.npz")
    np.testing.assert_array_equal(cloud.points, points.astype(np.float32))
    np.testing.assert_array_equal(cloud.colors[0], [0, 1, 1])
    assert cloud.channels == {}


def test_arrays_of_an_open_file() -> None:
    file = io.BytesIO()
    npz.write_arrays(file, {"a": np.arange(3), "b": np.eye(2)}, {"prompt": "a cup"})
    arrays, provenance = npz.read_arrays(file)
    assert arrays["a"].tolist() == [0, 1, 2]
    assert arrays["b"].shape == (2, 2)
    assert provenance == {"prompt": "a cup"}
    with pytest.raises(InputError, match="expected an NPZ file"):
        npz.read_arrays(io.BytesIO(b"no zip"))


def test_a_remark_too_long_for_a_zip_is_left_out() -> None:
    file = io.BytesIO()
    npz.write_arrays(file, {"a": np.arange(3)}, {"prompt": "x" * npz.COMMENT_LIMIT})
    assert npz.read_arrays(file)[1] is None
