"""Groups of like objects, and a table in which a person sets how often each is to be seen in training.

The paper weighs clusters of CLIP features by hand (arXiv 2212.08751, section 4.1). Here any features do.
`buckets.csv` is the table to edit: a weight of 0 leaves a bucket out, 0.5 shows each of its objects in every
other epoch, 2 shows it twice an epoch. `buckets.json` holds the bucket of each record.
"""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from enpointe.core.errors import InputError
from enpointe.data.shards.features import Features
from enpointe.data.shards.features.cloud import cloud_features
from enpointe.data.shards.index import read_index, read_shard
from enpointe.data.shards.records import canonical_json, read_json
from enpointe.data.shards.store import Store

TABLE, MEMBERS = "buckets.csv", "buckets.json"
MAX_WEIGHT = 100.0
_EXAMPLES = 8
_COLUMNS = ("bucket", "weight", "records", "examples")


def write_buckets(place: str | Path, k: int, *, features: Features = cloud_features, seed: int = 0) -> list[int]:
    """Put the records of a set of shards into at most `k` buckets and write both files beside the shards.

    Weights start at 1; those of an older table are overwritten.

    Args:
        features: a vector for each record; see `features`.

    Returns:
        How many records each bucket has.

    Raises:
        InputError: there are fewer records than buckets, or the shards are damaged.
        OutputError: the files cannot be written.
    """
    store = Store(place)
    shards = read_index(store).shards
    names, rows = list[str](), list[NDArray[np.floating]]()
    for shard in shards:
        for record in read_shard(store, shard):
            rows.append(np.asarray(features(record), np.float64).reshape(-1))
            names.append(record.captions[0] if record.captions else record.key)
    if not 1 <= k <= len(rows):
        raise InputError(f"expected 1 to {len(rows)} buckets, the number of records, found {k}")
    bucket = cluster(np.stack(rows), k, seed)
    counts = np.bincount(bucket).tolist()
    ends = np.cumsum([shard.records for shard in shards])[:-1]
    members = {shard.name: part.tolist() for shard, part in zip(shards, np.split(bucket, ends), strict=True)}
    store.write(MEMBERS, canonical_json({"buckets": members}) + b"\n")
    store.write(TABLE, _table(counts, bucket, names))
    return counts


def cluster(rows: NDArray[np.floating], k: int, seed: int) -> NDArray[np.int64]:
    """Numbers (n,) of the buckets of rows (n, d), the largest bucket first; empty ones are left out."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # all rows alike leave no distances to draw by
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster; it is left out below
        _, label = kmeans2(rows, k, iter=50, minit="++", seed=np.random.default_rng(seed))
    _, first, label, count = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(count), np.int64)
    rank[np.lexsort((first, -count))] = np.arange(len(count))
    return rank[label.reshape(-1)]


def _table(counts: Sequence[int], bucket: NDArray[np.int64], names: Sequence[str]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for number, count in enumerate(counts):
        shown = [names[i] for i in np.flatnonzero(bucket == number)[:_EXAMPLES]]
        writer.writerow([number, "1", count, json.dumps(shown, ensure_ascii=False)])
    return file.getvalue().encode("utf-8", "replace")


def read_weights(store: Store, sizes: Sequence[int]) -> NDArray[np.float64] | None:
    """The weight of every record of shards of these sizes, in order; None where there are no buckets.

    Raises:
        InputError: the table or the list of members is damaged, or of other shards.
    """
    if not (store.exists(TABLE) and store.exists(MEMBERS)):
        return None
    where = f"{store.place}/{MEMBERS}"
    members = read_json(store.read(MEMBERS), where).get("buckets")
    found = [len(part) for part in members.values()] if isinstance(members, dict) else None
    if not isinstance(members, dict) or found != list(sizes):
        raise InputError(f"{where}: expected buckets of shards of {list(sizes)} records, found {found}")
    weights = _weights(store)
    listed = [number for part in members.values() for number in part]
    if not all(isinstance(number, int) and number in weights for number in listed):
        raise InputError(f"{where}: expected buckets that are in {TABLE}, found others")
    return np.array([weights[number] for number in listed], np.float64)


def _weights(store: Store) -> dict[int, float]:
    where = f"{store.place}/{TABLE}"
    weights: dict[int, float] = {}
    rows = csv.DictReader(io.StringIO(store.read(TABLE).decode("utf-8", "replace")))
    for line, row in enumerate(rows, start=2):
        try:
            number, weight = int(row["bucket"]), float(row["weight"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}, line {line}: expected a bucket and its weight, found {error!r}") from error
        if not 0 <= weight <= MAX_WEIGHT:
            raise InputError(f"{where}, line {line}: expected a weight from 0 to {MAX_WEIGHT:g}, found {weight}")
        weights[number] = weight
    return weights
