"""The device that a user names."""

from __future__ import annotations

import contextlib
import ctypes

import torch

from enpointe.core.errors import DeviceError, InputError

NAMES = ("auto", "cpu", "cuda", "mps")


def find_device(name: str) -> torch.device:
    """ "auto" is the best that is there.

    Raises:
        InputError: not a known name. DeviceError: this machine, or this build of PyTorch, has none.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "mps" if there["mps"] else "cpu")
    if name not in there:
        raise InputError(f"device: expected one of {', '.join(NAMES)}, found {name!r}")
    if not there[name]:
        found = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise DeviceError(f"device: expected {name} hardware that this PyTorch can use, found only {found}")
    return torch.device(name)


def keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of giving each large block back to the system.

    Every evaluation of a network frees and takes the same blocks again; with glibc's defaults a CPU
    spends up to half of its time in the kernel, mapping and clearing pages. Elsewhere does nothing.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # mallopt(3)
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        if not libc.mallopt(mmap_threshold, 1 << 30):
            libc.mallopt(mmap_threshold, 1 << 25)  # the most that older versions take
        libc.mallopt(trim_threshold, 1 << 30)
        libc.mallopt(top_pad, 1 << 26)
