"""Pools and shards behind one protocol: examples in an order that a seed makes, resumed at any of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Dataset, Stream
from enpointe.data.datasets.mixture import Mixture
from enpointe.data.datasets.pool import PoolDataset
from enpointe.data.datasets.shards import ShardDataset

__all__ = ["Dataset", "Mixture", "PoolDataset", "ShardDataset", "Stream", "open_dataset"]

Place = str | Path


def open_dataset(place: Place | Sequence[Place | tuple[Place, float]]) -> Dataset:
    """The data set at a place: a pool or a set of shards that `enpointe data build` made, or a mixture of several.

    Args:
        place: a pool's file; a folder of shards, or an fsspec URL of one; or a list of these, from which examples
            come equally often, or in proportion to their weights: ["pool.safetensors", ("s3://bucket/shards", 3.0)].

    Raises:
        InputError: there is nothing of that kind, or it is damaged; or no place, or a weight that is not positive.
    """
    if not isinstance(place, (str, Path)):
        weighted = [one if isinstance(one, tuple) else (one, 1.0) for one in place]
        return Mixture(tuple((open_dataset(one), weight) for one, weight in weighted))
    if "://" in str(place) or Path(place).is_dir():
        return ShardDataset(str(place))
    if Path(place).is_file():
        return PoolDataset.open(Path(place))
    raise InputError(f"{place}: expected a pool's file or a folder of shards, found none")
