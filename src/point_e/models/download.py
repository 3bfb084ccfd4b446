"""The released checkpoints by name: from the release's cache folder, else through enpointe's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from enpointe.checkpoints.catalog import NESTED, RELEASE_URL, RELEASED_FILES
from enpointe.checkpoints.conversion import read_released_state
from enpointe.checkpoints.hub.download import fetch
from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, ProgressCallback

MODEL_PATHS: dict[str, str] = {name: RELEASE_URL + release.file for name, release in RELEASED_FILES.items()}
"""Name -> the address that the release gives."""


def default_cache_dir() -> str:
    """The release's cache: point_e_model_cache in the working directory."""
    return str(Path.cwd() / "point_e_model_cache")


def fetch_file_cached(url: str, progress: bool = True, cache_dir: str | None = None, chunk_size: int = 4096) -> str:
    """A checkpoint's file: the one in cache_dir (None: the release's cache) if it is there, else enpointe's.

    Nothing is written to cache_dir: what is not there is downloaded into the user's cache of enpointe, which
    knows mirrors, interruptions and checksums. chunk_size is not used.

    Raises:
        InputError: an address that is none of the released checkpoints'.
        WeightsError: it is in neither place and cannot be downloaded.
    """
    _ = chunk_size
    name = url.rsplit("/", 1)[-1]
    local = Path(cache_dir or default_cache_dir()) / name
    if local.is_file():
        return str(local)
    known = {release.file: key for key, release in RELEASED_FILES.items()}
    if name not in known:
        raise InputError(f"address: expected one of a released checkpoint, found {url}")
    with tqdm(unit="iB", unit_scale=True, disable=not progress) as bar:
        return str(fetch(known[name], report=_shown_in(bar)))


def load_checkpoint(
    checkpoint_name: str,
    device: torch.device | str,
    progress: bool = True,
    cache_dir: str | None = None,
    chunk_size: int = 4096,
) -> dict[str, Any]:
    """A released checkpoint's state dict, under the release's key names, on a device.

    That of "pointnet" lies under "model_state_dict", as in the release's file.

    Raises:
        InputError: no such checkpoint.
        WeightsError: it cannot be had, or the file is damaged, holds code, or is another model's.
    """
    if checkpoint_name not in MODEL_PATHS:
        raise InputError(f"checkpoint: expected one of {', '.join(MODEL_PATHS)}, found {checkpoint_name!r}")
    path = fetch_file_cached(MODEL_PATHS[checkpoint_name], progress, cache_dir, chunk_size)
    state = read_released_state(Path(path), checkpoint_name)
    moved = {key: value.to(device) for key, value in state.items()}
    return {NESTED: moved} if RELEASED_FILES[checkpoint_name].nested else moved


def _shown_in(bar: tqdm) -> ProgressCallback:
    def show(transfer: Progress) -> None:
        bar.total = transfer.total or None
        bar.update(transfer.done - bar.n)

    return show
