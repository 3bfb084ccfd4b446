"""Devices by name."""

from __future__ import annotations

import ctypes

import pytest
import torch

from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.errors import DeviceError, InputError


def hardware(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_best_that_is_there(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str) -> None:
    hardware(monkeypatch, cuda=cuda, mps=mps)
    assert find_device("auto") == torch.device(best)
    assert find_device("cpu") == torch.device("cpu")
    assert find_device(best) == torch.device(best)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_hardware_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    hardware(monkeypatch, cuda=name != "cuda", mps=name != "mps")
    with pytest.raises(DeviceError, match=f"expected {name} hardware.*found only cpu, {'mps|cuda'}") as caught:
        find_device(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:0", "auto "])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError, match="expected one of auto, cpu, cuda, mps"):
        find_device(name)


def test_keeping_freed_memory_is_harmless() -> None:
    keep_freed_memory()
    keep_freed_memory()
    values = torch.ones(1 << 22)
    assert float(values.sum()) == 1 << 22


def test_systems_without_that_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def absent(name: str) -> None:
        asked.append(name)
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # a C library without mallopt
    keep_freed_memory()
    assert asked == ["libc.so.6"]
