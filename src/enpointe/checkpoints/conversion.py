"""Files of released checkpoints: read without running anything in them, checked, converted to safetensors."""

from __future__ import annotations

import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.structure import check_structure
from enpointe.core.errors import OutputError, WeightsError

NESTED = "model_state_dict"
"""Under which a checkpoint of the release holds its state dict, where it holds more than that."""

_WINDOW = 1 << 28
"""Bytes of a file that are kept mapped at once while it is streamed."""


def read_released_state(path: Path, name: str) -> dict[str, Tensor]:
    """The release's state dict (the release's key names), its tensors mapped from the file, in its precision.

    Args:
        path: a .pt file of the release (of any precision, "pointnet" with or without what surrounds its state
            dict), the same as safetensors, or the weights that a training of that network left.
        name: one of the released names.

    Raises:
        WeightsError: the file is absent, damaged, holds code, or is not this model's; keys that are
            missing, extra or wrongly shaped are named.
    """
    state = _open(path)
    check_structure(state, name, path)
    return state


def stream_released(path: Path, name: str) -> Iterator[tuple[str, Tensor]]:
    """The same tensor by tensor, with little of the file in memory at a time: copy each before taking the next.

    Raises:
        WeightsError: as `read_released_state`, before the first tensor.
    """
    state: Mapping[str, Tensor] = read_released_state(path, name)
    keys, seen = list(state), 0
    for key in keys:
        tensor = state[key]
        yield key, tensor
        seen += tensor.nbytes
        del tensor
        if seen > _WINDOW:  # a mapped page stays resident until its mapping goes
            del state
            state, seen = _open(path), 0


def convert(path: Path, name: str, target: Path) -> None:
    """Write a released checkpoint as safetensors: the release's key names, the file's precision; atomic.

    Only one process may do this to a target at a time.

    Raises:
        WeightsError: as `read_released_state`, or NaN or infinity among the weights.
        OutputError: the target cannot be written.
    """
    state = read_released_state(path, name)
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(f"{path}: expected finite weights, found NaN or infinity in {broken}")
    # One name, not a fresh one: what a kill leaves, gigabytes perhaps, the next conversion writes over.
    temporary = target.with_name(target.name + ".part")
    try:
        save_file(
            {key: value.contiguous() for key, value in state.items()},
            str(temporary),
            metadata={"enpointe": json.dumps({"released": name})},
        )
        temporary.chmod(0o644)
        os.replace(temporary, target)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{target}: expected to write weights, found {error}") from error
    except (RuntimeError, ValueError) as error:  # tensors of a made-up file that share their numbers
        raise WeightsError(f"{path}: expected plain tensors, found {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _open(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
    except OSError as error:
        raise WeightsError(f"{path}: expected a checkpoint, found: {error.strerror or error}") from error
    if beginning[8:9] == b"{":
        return _open_safetensors(path)
    if beginning.startswith(b"PK"):
        _check_archive(path)
    elif not beginning.startswith(b"\x80"):
        what = f"one that begins with {beginning!r}" if beginning else "an empty one"
        raise WeightsError(f"{path}: expected a file that torch.save wrote or safetensors, found {what}")
    return _open_torch(path, mapped=beginning.startswith(b"PK"))


def _open_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(str(path), "pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"{path}: expected a whole safetensors file, found a damaged one ({error})") from error
    return to_released(state)  # those that a training left here have our names


def _check_archive(path: Path) -> None:
    """torch.save compresses nothing: an archive whose members are larger than itself is a trap."""
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path}: expected a whole checkpoint, found a truncated or damaged one") from error
    if n_bytes > path.stat().st_size:
        raise WeightsError(f"{path}: expected an uncompressed archive, found one of {n_bytes} bytes unpacked")


def _open_torch(path: Path, *, mapped: bool) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles: they fail, or give tensors all the same
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"code ({code[1]})" if code else "a pickle of something else"
        raise WeightsError(f"{path}: expected tensors and nothing else, found {found}; it was not run") from error
    except Exception as error:  # a damaged file makes torch.load fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: expected a whole checkpoint, found a damaged one ({reason})") from error
    if isinstance(loaded, dict) and isinstance(loaded.get(NESTED), dict):
        loaded = loaded[NESTED]
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path}: expected a state dict, found a {type(loaded).__name__}")
    for key, value in loaded.items():
        if not (isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided):
            raise WeightsError(f"{path}: expected a state dict of tensors, found {key!r}: {type(value).__name__}")
    return dict(loaded)
