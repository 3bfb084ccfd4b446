"""NPZ files a batch at a time: the same rows as numpy reads, little memory, and files that lie."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.evaluation.samples.npz_stream import array_infos, npz_paths, stream_arrays, stream_clouds


def clouds(n: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(n, 16, 3)).astype(np.float32)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def write_zip(path: Path, content: bytes, name: str = "arr_0.npy") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("batch_size", [1, 4, 10, 99])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows(tmp_path: Path, save: Any, batch_size: int, order: Any) -> None:
    array = np.array(clouds(10), order=order)
    save(tmp_path / "a.npz", array)
    batches = list(stream_clouds(str(tmp_path / "a.npz"), batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    np.testing.assert_array_equal(np.concatenate(batches), array)


def test_many_files_and_a_limit(tmp_path: Path) -> None:
    whole = clouds(12)
    for name, part in (("b", whole[5:7]), ("a", whole[:5]), ("c", whole[7:])):
        np.savez(tmp_path / f"{name}.npz", part)
    assert [len(batch) for batch in stream_clouds(str(tmp_path / "*.npz"), 4)] == [4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(list(stream_clouds(str(tmp_path / "*.npz"), 4))), whole)
    for limit in (0, 1, 5, 6, 12, 50):
        found = list(stream_clouds(f"{tmp_path}/*.npz[:{limit}]", 4))
        assert sum(map(len, found)) == min(limit, 12)
        assert all((batch == whole[4 * i : 4 * i + len(batch)]).all() for i, batch in enumerate(found))
    assert npz_paths(f"{tmp_path}/a.npz[:3]") == ([tmp_path / "a.npz"], 3)


def test_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", clouds(5), R=np.arange(10).reshape(5, 2))
    batches = list(stream_arrays([tmp_path / "a.npz"], ["R", "arr_0"], 3))
    np.testing.assert_array_equal(np.concatenate([batch["R"] for batch in batches]), np.arange(10).reshape(5, 2))
    assert [batch["arr_0"].shape for batch in batches] == [(3, 16, 3), (2, 16, 3)]
    assert {name: info.shape for name, info in array_infos(tmp_path / "a.npz").items()} == {
        "arr_0": (5, 16, 3),
        "R": (5, 2),
    }
    np.savez(tmp_path / "b.npz", clouds(5), R=np.zeros((4, 2)))
    with pytest.raises(InputError, match="one length"):
        list(stream_arrays([tmp_path / "b.npz"], ["R", "arr_0"], 3))


def test_rows_of_other_shapes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", clouds(3))
    np.savez(tmp_path / "b.npz", clouds(3)[:, :8])
    with pytest.raises(InputError, match="one shape"):
        list(stream_clouds(f"{tmp_path}/*.npz", 4))
    assert [len(batch) for batch in stream_clouds(f"{tmp_path}/*.npz", 3)] == [3, 3]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_is_a_batch(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "a.npz", np.zeros((4000, 256, 3), np.float32))  # 12 MB
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch in stream_clouds(str(tmp_path / "a.npz"), 64)) == 4000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(clouds(4))[:-7], "bytes for shape"),
        (header((10**9, 4096, 3)) + bytes(100), "bytes for shape"),
        (header((-1, 4, 3)), "expected"),
        (header((4, 16)) + bytes(256), "n, points, 3"),
        (npy(np.array([{}, {}])), "n, points, 3"),
        (b"not an array", "expected an NPZ file"),
        (b"", "expected an NPZ file"),
        (b"\x93NUMPY\x07\x00" + bytes(20), "format 1.0"),
    ],
)
def test_arrays_that_lie(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(stream_clouds(str(write_zip(tmp_path / "a.npz", content)), 4))


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.npz", npy(np.array([{}, {}])))
    with pytest.raises(InputError, match="expected numbers"):
        list(stream_arrays([path], ["arr_0"], 4))


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enpointe.evaluation.samples.npz_stream.MEMORY_LIMIT", 50_000)
    path = write_zip(tmp_path / "a.npz", npy(np.zeros((8, 1000, 3), np.float32)))
    assert sum(map(len, stream_clouds(str(path), 4))) == 8
    with pytest.raises(InputError, match="at once"):
        list(stream_clouds(str(path), 5))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        list(stream_clouds(f"{tmp_path}/*.npz", 4))
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "folder.npz").mkdir()
    np.savez(tmp_path / "whole.npz", clouds(50))
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "damaged.npz").write_bytes(whole[:3000] + struct.pack("<f", 1e9) + whole[3004:])
    np.savez(tmp_path / "other.npz", coords=clouds(2))
    for name in ("text", "folder", "cut", "damaged", "other"):
        with pytest.raises(InputError, match=name):
            list(stream_clouds(f"{tmp_path}/{name}.npz", 4))
