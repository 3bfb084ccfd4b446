"""The faster number format is measured, once; a named one is taken as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from enpointe.core import precision
from enpointe.core.errors import InputError
from enpointe.core.precision import dtype_name, fast_dtype, find_dtype

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    precision._faster_on_cpu.cache_clear()
    yield
    precision._faster_on_cpu.cache_clear()


@pytest.mark.parametrize(
    ("single", "half", "expected"),
    [(2.0, 1.0, torch.bfloat16), (1.0, 2.0, torch.float32), (1.0, 1.0, torch.float32), (1.0, 0.95, torch.float32)],
)
def test_bfloat16_only_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, single: float, half: float, expected: torch.dtype
) -> None:
    seconds = {torch.float32: single, torch.bfloat16: half}
    timed: list[torch.dtype] = []

    def measure(dtype: torch.dtype) -> float:
        timed.append(dtype)
        return seconds[dtype]

    monkeypatch.setattr(precision, "_seconds_of_product", measure)
    assert fast_dtype(CPU) == expected
    assert find_dtype("auto", CPU) == expected
    assert sorted(map(dtype_name, timed)) == ["bfloat16", "float32"]  # once for both


def test_the_probe_times_real_products() -> None:
    assert 0 < precision._seconds_of_product(torch.float32) < 10
    assert fast_dtype(CPU) in (torch.float32, torch.bfloat16)


def test_a_device_that_is_not_probed_computes_in_float32() -> None:
    assert fast_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_named_types(name: str) -> None:
    dtype = find_dtype(name, CPU)
    assert dtype_name(dtype) == name
    assert find_dtype(dtype, CPU) == dtype


@pytest.mark.parametrize("name", ["half", "float16", "", torch.float16, torch.int64])
def test_other_types_are_refused(name: str | torch.dtype) -> None:
    with pytest.raises(InputError, match="dtype: expected auto, float32 or bfloat16, found"):
        find_dtype(name, CPU)


def test_bfloat16_where_there_is_none() -> None:
    with pytest.raises(InputError, match="dtype: expected float32 on mps, found bfloat16"):
        find_dtype("bfloat16", torch.device("mps"))
