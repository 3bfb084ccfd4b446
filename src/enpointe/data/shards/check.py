"""Whether a set of shards is what its index describes, record by record."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.data.build.build import ATTRIBUTION, attribution
from enpointe.data.shards.index import Index, read_index, read_shard
from enpointe.data.shards.records import NORMAL_SCALE, SCALE, Record, record_id
from enpointe.data.shards.store import Store

_UNIT = 0.55
"""How far from the origin a coordinate may be: half the longest side, and the error of coarse views."""


@dataclass
class Checked:
    """What was found in a set of shards: how many records, images and points, and each licence's records."""

    records: int = 0
    images: int = 0
    points: int = 0
    bytes: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    unlicensed: int = 0
    damages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Work:
    key: str
    licence: str
    creator: str
    source: str


def check_shards(place: str | Path, progress: ProgressCallback = no_progress) -> Checked:
    """Read every byte of a set of shards and open every image.

    What is wrong is collected in `damages`, a line each, so that all of it is known at once.

    Args:
        progress: called after each shard, with how many are done.

    Raises:
        InputError: there is no index.
    """
    store = Store(place)
    index = read_index(store)
    found = Checked()
    works: list[_Work] = []
    last = ""
    for number, shard in enumerate(index.shards, start=1):
        try:
            records = read_shard(store, shard)
        except InputError as error:
            found.damages.append(str(error))
            records = []
        for record in records:
            name = record_id(record.key)
            if name <= last:
                found.damages.append(f"{shard.name}: record {name}: expected records in rising order, each once")
            last = name
            found.damages += [f"{shard.name}: record {name}: {damage}" for damage in _damages(record)]
            works.append(_Work(record.key, record.licence, record.creator, record.source))
            found.records += 1
            found.images += len(record.views) + sum(view.lit is not None for view in record.views)
            found.points += len(record.points)
            found.licences[record.licence] += 1
        found.bytes += shard.bytes
        progress(Progress("shards", number, len(index.shards)))
    found.unlicensed = found.licences["unknown"] + found.licences[""]
    found.damages += _beside(store, index, works, found)
    return found


def _damages(record: Record) -> Iterator[str]:
    farthest = np.abs(record.points.astype(np.int64)).max() / SCALE
    if farthest > _UNIT:
        yield f"expected coordinates from -{_UNIT} to {_UNIT}, found {farthest:.3f}"
    if record.normals is not None:
        length = np.linalg.norm(record.normals.astype(np.float64), axis=1) / NORMAL_SCALE
        if not (np.abs(length - 1) < 0.02).all():
            yield f"expected unit normals, found lengths from {length.min():.3f} to {length.max():.3f}"
    if not any(record.captions):
        yield "expected a caption, found none"
    if not record.licence:
        yield "expected a licence, or 'unknown', found nothing"
    for i, view in enumerate(record.views):
        try:
            view.pixels()
            view.lit_pixels()
        except InputError as error:
            yield f"view {i}: {error}"


def _beside(store: Store, index: Index, works: list[_Work], found: Checked) -> Iterator[str]:
    """What is wrong with the lists and the counts."""
    for name, digest in index.files.items():
        data = store.read(name) if store.exists(name) else None
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            yield f"{name}: expected SHA-256 {digest}, found {'no file' if data is None else 'another'}"
        elif name == ATTRIBUTION and len(works) == index.records and data != attribution(works):
            yield f"{name}: expected the attribution of the records in the shards, found another"
    kept = index.counts.get("kept", index.records)
    if not found.damages and not found.records == index.records == kept:
        yield f"expected {kept} records as counted when they were made, found {found.records}"
