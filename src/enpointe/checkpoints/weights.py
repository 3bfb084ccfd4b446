"""Weight files: safetensors with the network's kind and config inside, optionally in int8 or float16."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from enpointe.core.errors import WeightsError
from enpointe.core.files import replacing_name

Storage = Literal["float32", "float16", "int8"]

_SCALE = "::scale"
_HEADER = "enpointe"


@dataclass(frozen=True)
class Weights:
    """A weight file, read: the state dict in float32, what the file says of itself, its SHA-256."""

    state: dict[str, Tensor]
    info: dict[str, Any]
    sha256: str


def save_weights(
    path: Path, state: Mapping[str, Tensor], info: Mapping[str, Any], storage: Storage = "float16"
) -> None:
    """Write a state dict atomically.

    Args:
        path: ends in .safetensors.
        state: float tensors.
        info: JSON values: the kind of network, its config, what it was trained on.
        storage: "int8" stores every matrix as 8-bit rows with one float32 scale each (the rest in
            float16); "float16" and "float32" store what they say.

    Raises:
        OutputError: the file cannot be written; a former one is as it was.
    """
    stored: dict[str, Tensor] = {}
    for key, value in state.items():
        tensor = value.detach().cpu().float()
        if storage == "int8" and tensor.ndim == 2:
            scale = tensor.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
            stored[key] = (tensor / scale).round().to(torch.int8)
            stored[key + _SCALE] = scale
        else:
            stored[key] = tensor if storage == "float32" else tensor.half()
        stored[key] = stored[key].contiguous()
    with replacing_name(path, what="weights", errors=(SafetensorError,)) as temporary:
        save_file(stored, str(temporary), metadata={_HEADER: json.dumps(dict(info))})
        temporary.chmod(0o644)


def read_weights(path: Path) -> Weights:
    """Read a weight file of ours into float32 on the CPU.

    Raises:
        WeightsError: the file is absent, truncated, or not a weight file of this package.
    """
    info = read_info(path)
    try:
        with safe_open(str(path), "pt") as file:
            raw = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        state = {
            key: value.float() * raw[key + _SCALE] if key + _SCALE in raw else value.float()
            for key, value in raw.items()
            if not key.endswith(_SCALE)
        }
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: scales of another shape
        raise WeightsError(f"{path}: expected a whole safetensors file, found a damaged one ({error})") from error
    return Weights(state, info, sha256(path))


def read_info(path: Path) -> dict[str, Any]:
    """What a weight file of ours says of itself, without its tensors; errors as of `read_weights`."""
    if not path.is_file():
        raise WeightsError(f"weights: expected a file {path}, found none")
    try:
        with safe_open(str(path), "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
        if header is None:
            raise WeightsError(f"{path}: expected weights written by enpointe, found another safetensors file")
        info = json.loads(header)
        if not isinstance(info, dict):
            raise ValueError("its description is not a JSON object")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: expected a whole safetensors file, found a damaged one ({error})") from error
    return info


def load_into(network: nn.Module, weights: Weights, path: Path | str) -> None:
    """Put weights into a network, in evaluation mode; every key must be there with its shape.

    Raises:
        WeightsError: names the keys that are missing, extra or wrongly shaped, or that hold NaN.
    """
    expected = network.state_dict()
    missing, extra = sorted(expected.keys() - weights.state.keys()), sorted(weights.state.keys() - expected.keys())
    wrong = [
        f"{key}: expected {tuple(expected[key].shape)}, found {tuple(value.shape)}"
        for key, value in weights.state.items()
        if key in expected and expected[key].shape != value.shape
    ]
    if missing or extra or wrong:
        raise WeightsError(f"{path}: missing keys {missing}; extra keys {extra}; wrong shapes {wrong}")
    broken = [key for key, value in weights.state.items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(f"{path}: expected finite weights, found NaN or infinity in {broken}")
    network.load_state_dict(weights.state)
    network.requires_grad_(False).eval()


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
