"""Weight files: what goes in comes out, and what is not a whole file of ours is named and refused."""

from __future__ import annotations

import dataclasses
import json
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from enpointe.checkpoints.weights import Storage, Weights, load_into, read_weights, save_weights, sha256
from enpointe.core.errors import OutputError, WeightsError

INFO: dict[str, Any] = {"kind": "test", "config": {"width": 4, "grids": [["text", 3]]}}


def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(5, 7, generator=generator),
        "a.bias": torch.randn(5, generator=generator),
        "b.weight": torch.randn(3, 4, 2, generator=generator) * 1e-3,
        "zeros": torch.zeros(2, 3),
    }


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_round_trip(tmp_path: Path, storage: Storage) -> None:
    path, before = tmp_path / "w.safetensors", state()
    save_weights(path, before, INFO, storage)
    read = read_weights(path)
    assert read.info == INFO
    assert read.sha256 == sha256(path)
    assert read.state.keys() == before.keys()
    for key, value in before.items():
        found = read.state[key]
        assert found.dtype == torch.float32
        assert found.shape == value.shape
        error = (found - value).abs()
        if storage == "float32":
            assert torch.equal(found, value)
        elif storage == "int8" and value.ndim == 2:
            # Half a step of 127 to the largest of the row.
            assert (error <= value.abs().amax(1, keepdim=True) / 254 * 1.001).all()
        else:
            # Half a unit of the eleventh bit, or half of the smallest subnormal.
            assert (error <= value.abs() * 2**-11 + 2**-25).all()


def test_int8_is_a_quarter(tmp_path: Path) -> None:
    sizes = {}
    for storage in ("float32", "float16", "int8"):
        save_weights(tmp_path / "w.safetensors", {"m": torch.randn(256, 256)}, {}, storage)
        sizes[storage] = (tmp_path / "w.safetensors").stat().st_size
    assert sizes["int8"] < 0.27 * sizes["float32"]
    assert sizes["float16"] < 0.51 * sizes["float32"]


def test_same_weights_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_weights(tmp_path / name, state(), INFO, "int8")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def test_load_into(tmp_path: Path) -> None:
    source, target = network(), network()
    save_weights(tmp_path / "w", source.state_dict(), {}, "float32")
    target.train()
    load_into(target, read_weights(tmp_path / "w"), "w")
    x = torch.randn(2, 3)
    assert torch.equal(target(x), source(x))
    assert not target.training
    assert not any(p.requires_grad for p in target.parameters())


def test_wrong_keys_shapes_and_values_are_named() -> None:
    good = network().state_dict()

    def refused(changed: dict[str, Tensor]) -> str:
        target = network()
        before = {key: value.clone() for key, value in target.state_dict().items()}
        with pytest.raises(WeightsError) as caught:
            load_into(target, Weights(changed, {}, ""), "some/file")
        assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())
        message = str(caught.value)
        assert message.startswith("some/file: ")
        return message

    assert "missing keys ['0.bias']" in refused({k: v for k, v in good.items() if k != "0.bias"})
    assert "extra keys ['2.bias']" in refused({**good, "2.bias": torch.zeros(1)})
    assert "0.bias: expected (4,), found (5,)" in refused({**good, "0.bias": torch.zeros(5)})
    assert "NaN or infinity in ['1.weight']" in refused({**good, "1.weight": torch.tensor([0.0, torch.nan, 1, 1])})
    assert "['0.bias']" in refused({**good, "0.bias": torch.full((4,), torch.inf)})


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_nan_survives_storage_to_be_refused(tmp_path: Path, storage: Storage) -> None:
    broken = network().state_dict()
    broken["0.weight"] = torch.full((4, 3), torch.nan)
    save_weights(tmp_path / "w", broken, {}, storage)
    with pytest.raises(WeightsError, match=r"0\.weight"):
        load_into(network(), read_weights(tmp_path / "w"), "w")


def test_absent_and_truncated(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="found none"):
        read_weights(path)
    with pytest.raises(WeightsError, match="found none"):
        read_weights(tmp_path)
    save_weights(path, state(), INFO)
    whole = path.read_bytes()
    for size in (0, 5, 8, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="damaged"):
            read_weights(path)


def raw_safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 1000,
        bytes(range(256)) * 4,
        b"ply\nformat ascii 1.0\nend_header\n",
        struct.pack("<Q", 2**62) + b"{}",
        # A kilobyte that declares four gigabytes.
        raw_safetensors({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}, b"\0" * 1000),
        raw_safetensors({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 8]}}, b"\0" * 8),
        raw_safetensors({"__metadata__": {"enpointe": "{not json"}}),
        raw_safetensors({"__metadata__": {"enpointe": "[1, 2]"}}),
        raw_safetensors(
            {
                "__metadata__": {"enpointe": "{}"},
                "a": {"dtype": "I8", "shape": [2, 2], "data_offsets": [0, 4]},
                "a::scale": {"dtype": "F32", "shape": [3, 1], "data_offsets": [4, 16]},
            },
            b"\1" * 16,
        ),
    ],
    ids=["zeros", "bytes", "ply", "huge header", "huge array", "short array", "bad json", "json list", "bad scale"],
)
def test_garbage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.safetensors: expected .* found"):
        read_weights(path)


def test_foreign_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "w", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="another safetensors file"):
        read_weights(tmp_path / "w")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failing_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, state(), INFO)
    before = path.read_bytes()
    with largest_file(10_000), pytest.raises(OutputError, match="expected a place to write weights"):
        save_weights(path, {"a": torch.zeros(100_000)}, INFO)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected a place to write weights"):
        save_weights(tmp_path / "no" / "w", state(), INFO)


def test_weights_are_frozen(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", state(), INFO)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_weights(tmp_path / "w").sha256 = ""  # type: ignore[misc]
