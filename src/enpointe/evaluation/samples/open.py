"""Which kind of samples is at a place."""

from __future__ import annotations

import re
from pathlib import Path

from enpointe.core.errors import InputError
from enpointe.data.shards.index import INDEX
from enpointe.evaluation.samples.folder import FolderSamples
from enpointe.evaluation.samples.npz import NpzSamples
from enpointe.evaluation.samples.pool import PoolSamples
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.samples.shards import ShardSamples


def open_samples(place: str, limit: int | None = None) -> SampleSet:
    """The set at a place: a folder of files, a folder or URL of shards, NPZ files (or a pattern of them), or a pool.

    Args:
        place: as the command line has it.
        limit: only so many, the first ones.

    Raises:
        InputError: there is nothing of the kind.
    """
    path = Path(place)
    if "://" in place:
        return ShardSamples(place, limit)
    if path.is_dir():
        return ShardSamples(place, limit) if (path / INDEX).is_file() else FolderSamples(path, limit)
    if path.suffix.lower() == ".safetensors":
        return PoolSamples(path, limit)
    if re.fullmatch(r".*\.npz(\[:\d+\])?", place, re.IGNORECASE | re.DOTALL):
        return NpzSamples(place, limit)
    what = "found none" if not path.exists() else f"found a file ending in {path.suffix!r}"
    raise InputError(f"{place}: expected a folder, shards, an .npz file of arr_0, or a pool; {what}")
