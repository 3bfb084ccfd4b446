"""Checkpoints by name: from a cache folder such as the release's, else through enpointe's own cache."""

from __future__ import annotations

import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tqdm.auto import tqdm

from enpointe.checkpoints.conversion import NESTED
from enpointe.checkpoints.hub.addresses import RELEASE_URL
from enpointe.checkpoints.hub.download import fetch
from enpointe.checkpoints.hub.transfer import RetryPolicy, discard, download
from enpointe.checkpoints.registry import released_models
from enpointe.core.errors import InputError, WeightsError
from enpointe.core.offline import SWITCHES, is_offline
from enpointe.core.progress import Progress, ProgressCallback

MODEL_PATHS: dict[str, str] = {name: RELEASE_URL + release.file for name, release in released_models().items()}
"""Name -> address. A script may add its own, or change these."""

LIMIT = 1 << 33
"""Bytes that a file from an address of a script's own may have; the largest of the release's has 5e9."""


# A training script leaves NumPy's numbers beside the weights, such as an accuracy, under NumPy's old name or its new.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *{np.dtype, *(type(np.dtype(code)) for code in "?bhilqBHILQefd")},
]


def default_cache_dir() -> str:
    """The release's cache: point_e_model_cache in the working directory."""
    return str(Path.cwd() / "point_e_model_cache")


def fetch_file_cached(url: str, progress: bool = True, cache_dir: str | None = None, chunk_size: int = 4096) -> str:
    """An address's file: the one of its name in cache_dir (None: the release's cache) if it is there.

    Otherwise a released checkpoint comes from the user's cache of enpointe, which knows mirrors, interruptions and
    checksums, and nothing is written to cache_dir; any other address's file is downloaded to cache_dir. chunk_size
    is not used.

    Raises:
        InputError: an address that cannot be asked: not http or https, or not the release's while the environment
            forbids the network.
        WeightsError: it is not there and cannot be downloaded.
    """
    _ = chunk_size
    name = url.rsplit("/", 1)[-1]
    local = Path(cache_dir or default_cache_dir()) / name
    if local.is_file():
        return str(local)
    released = {RELEASE_URL + release.file: key for key, release in released_models().items()}
    with tqdm(unit="iB", unit_scale=True, disable=not progress) as bar:
        if url in released:
            return str(fetch(released[url], report=_shown_in(bar)))
        _download(url, local, _shown_in(bar))
    return str(local)


def load_checkpoint(
    checkpoint_name: str,
    device: torch.device | str,
    progress: bool = True,
    cache_dir: str | None = None,
    chunk_size: int = 4096,
) -> dict[str, Any]:
    """What a checkpoint's file holds, its tensors on a device: of a released one the state dict, under its key names.

    That of "pointnet" lies under "model_state_dict", as in the release's file. Whether the keys and shapes are those of
    a network is for its load_state_dict to say.

    Raises:
        InputError: no such name in MODEL_PATHS.
        WeightsError: it cannot be had, or the file is damaged or holds code, which is not run.
    """
    if checkpoint_name not in MODEL_PATHS:
        raise InputError(f"checkpoint: expected one of {', '.join(MODEL_PATHS)}, found {checkpoint_name!r}")
    path = fetch_file_cached(
        MODEL_PATHS[checkpoint_name], progress=progress, cache_dir=cache_dir, chunk_size=chunk_size
    )
    state = _read(Path(path), device)
    release = released_models().get(checkpoint_name)
    return {NESTED: state} if release is not None and release.nested and NESTED not in state else state


def _read(path: Path, device: torch.device | str) -> dict[str, Any]:
    """A file of torch.save or of safetensors, whichever it is; nothing in it is run."""
    try:
        with path.open("rb") as file:
            beginning = file.read(9)
        if beginning[8:] == b"{":
            return load_file(path, device=str(device))
        with torch.serialization.safe_globals(_NUMBERS):
            loaded = torch.load(path, map_location=device, weights_only=True)
    except UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"code ({code[1]})" if code else "something else"
        raise WeightsError(f"{path}: expected tensors and plain values, found {found}; nothing was run") from error
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(f"{path}: expected a whole checkpoint, found a damaged one ({error})") from error
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path}: expected a state dict, found a {type(loaded).__name__}")
    return loaded


def _download(url: str, target: Path, report: ProgressCallback) -> None:
    """Bring a file that is none of the release's whole to its place."""
    if not url.startswith(("https://", "http://")):
        raise InputError(f"address: expected http or https, found {url!r}")
    if is_offline():
        found = f"{url}, which {' or '.join(SWITCHES)} forbids to ask"
        raise InputError(f"address: expected one whose file is in {target.parent}, found {found}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        download(url, part, limit=LIMIT, retry=RetryPolicy(), report=report)
    except WeightsError as error:
        raise WeightsError(f"{url}: expected to download it to {target}, found {error}") from error
    part.replace(target)
    discard(part)


def _shown_in(bar: tqdm) -> ProgressCallback:
    def show(transfer: Progress) -> None:
        bar.total = transfer.total or None
        bar.update(transfer.done - bar.n)

    return show
