"""The number format to compute in: the fastest that a network is good in, found by measurement.

bfloat16 has half the bytes of float32, and some processors multiply it several times faster, others at half the
speed; the processor's features do not say which, so both are timed.
"""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import Tensor

from enpointe.core.errors import InputError

NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_TOKENS, _WIDTH = 512, 384
"""Of the products that are tried: about those of one layer, a fraction of a millisecond to some milliseconds each."""
_TURNS = 4
_GAIN = 1.1
"""How many times faster bfloat16 has to be to be worth its rounding."""


def find_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The type that an argument `dtype` stands for: "auto", "float32", "bfloat16" or a PyTorch type.

    Raises:
        InputError: another one, or bfloat16 for a device that cannot do it.
    """
    if name == "auto":
        return fast_dtype(device)
    dtype = NAMES.get(name) if isinstance(name, str) else name
    if dtype is None or dtype not in NAMES.values():
        raise InputError(f"dtype: expected auto, {' or '.join(NAMES)}, found {name!r}")
    if dtype == torch.bfloat16 and device.type not in ("cpu", "cuda"):
        raise InputError(f"dtype: expected float32 on {device.type}, found bfloat16")
    return dtype


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is faster than float32 on this machine, else float32.

    On a CPU that is measured once a process and number of threads, by two products, in about 40 ms.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type != "cpu":
        return torch.float32
    return _faster_on_cpu(torch.get_num_threads())


def dtype_name(dtype: torch.dtype) -> str:
    """torch.bfloat16 -> "bfloat16"."""
    return str(dtype).removeprefix("torch.")


@lru_cache
def _faster_on_cpu(_threads: int) -> torch.dtype:
    single, half = (_seconds_of_product(dtype) for dtype in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if half * _GAIN < single else torch.float32


def _seconds_of_product(dtype: torch.dtype) -> float:
    """The shortest of some turns, so that what else the machine does counts little."""
    tokens, weights = (torch.ones(n, _WIDTH, dtype=dtype) for n in (_TOKENS, 4 * _WIDTH))
    return min(_timed(tokens, weights) for _ in range(1 + _TURNS))


@torch.inference_mode()
def _timed(tokens: Tensor, weights: Tensor) -> float:
    began = time.perf_counter()
    torch.nn.functional.linear(tokens, weights)
    return time.perf_counter() - began
