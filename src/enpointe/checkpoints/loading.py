"""A released name becomes a network with its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from enpointe.checkpoints.conversion import NESTED, convert, read_released_state, stream_released
from enpointe.checkpoints.hub.cache import weights_path
from enpointe.checkpoints.hub.download import ensure
from enpointe.checkpoints.registry import released_file
from enpointe.checkpoints.structure import build_empty, release_keys
from enpointe.checkpoints.weights import sha256
from enpointe.core.errors import InputError, WeightsError
from enpointe.core.files import known_suffix, replacing
from enpointe.core.progress import ProgressCallback


def load_released(
    name: str,
    *,
    path: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    report: ProgressCallback | None = None,
) -> tuple[nn.Module, str]:
    """A released network with its weights, in evaluation mode, without gradients.

    Takes little more memory than the weights do in `dtype`.

    Args:
        name: of one of the `released_models`.
        path: the checkpoint's file, .pt or .safetensors; by default the one in the user's cache, which is
            downloaded if it is not there.
        dtype: of the parameters. Floating-point buffers are float32: in bfloat16 the upsampler's color scale
            would shift every coarse point's color.
        report: receives the progress of a download.

    Returns:
        The network, and the SHA-256 of the file that its weights came from: of `path`, or of the file that
        was downloaded or imported (not of its conversion in the cache), so that it tells the same everywhere.

    Raises:
        InputError: no such name.
        WeightsError: the weights cannot be had, or the file does not hold them.
        OutputError: the cache cannot be written.
    """
    network = build_empty(name)
    if path is None:
        digest = ensure(name, report=report).source_sha256
        path = weights_path(name)
        state = _read(path, name, network, dtype, torch.device(device))
    else:
        state = _read(path, name, network, dtype, torch.device(device))
        digest = sha256(path)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval(), digest


def export_released(name: str, target: Path, source: Path | None = None) -> None:
    """Write a checkpoint with the release's key names, atomically, in the precision that it came in.

    Args:
        target: a .pt file, as the release's code loads it, or a .safetensors file.
        source: the weights, as `read_released_state` takes them; by default those of that name in the cache.

    Raises:
        InputError: no such name, another suffix, or the checkpoint is not in the cache.
        WeightsError: what is in the cache is not what it was at its first verified load, or the source does not hold
            such weights.
        OutputError: the target cannot be written.
    """
    release = released_file(name)
    suffix = known_suffix(target, (".pt", ".safetensors"))
    if source is None:
        source = weights_path(name)
        if not source.is_file():
            raise InputError(f"{name}: expected its weights at {source}, found none; 'enpointe models download {name}'")
        ensure(name)
    if suffix == ".safetensors":
        convert(source, name, target)
        return
    state = read_released_state(source, name)
    with replacing(target) as file:
        torch.save({NESTED: state} if release.nested else state, file)


def _read(path: Path, name: str, network: nn.Module, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """A network's state dict (our keys) from a released file."""
    ours, parameters = release_keys(network), {key for key, _ in network.named_parameters()}
    state: dict[str, Tensor] = {}
    for key, value in stream_released(path, name):
        learned = dtype if ours[key] in parameters else torch.float32
        kind = learned if value.is_floating_point() else value.dtype
        # A copy also where nothing is to be converted: the file's pages are not ours to keep.
        tensor = value.to(device=device, dtype=kind, copy=True)
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: expected finite weights in {kind}, found NaN or infinity in {key}")
        state[ours[key]] = tensor
    return state
