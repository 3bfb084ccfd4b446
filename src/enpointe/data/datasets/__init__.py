"""Pools and shards behind one protocol: examples in an order that a seed makes, resumed at any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from enpointe.core.errors import InputError
from enpointe.data.datasets.dataset import Dataset, Stream
from enpointe.data.datasets.mixture import Mixture
from enpointe.data.datasets.pool import PoolDataset
from enpointe.data.datasets.shards import ShardDataset

__all__ = ["Dataset", "Mixture", "PoolDataset", "ShardDataset", "Stream", "map_parts", "open_dataset", "parts_of"]

Place = str | Path


def open_dataset(place: Place | Sequence[Place], weights: Sequence[float] | None = None) -> Dataset:
    """The data set at a place: a pool or a set of shards that `enpointe data build` made, or a mixture of several.

    Args:
        place: a pool's file; a folder of shards, or an fsspec URL of one; or a list of these.
        weights: of a list: examples come from its places in proportion to these; None: equally often.

    Raises:
        InputError: there is nothing of that kind, or it is damaged or of another version; or no place, a weight
            that is not positive, or not one for each place.
    """
    if not isinstance(place, (str, Path)):
        weights = [1.0] * len(place) if weights is None else weights
        if len(weights) != len(place):
            raise InputError(f"weights: expected one for each of {len(place)} data sets, found {len(weights)}")
        Mixture.check(weights)  # before anything is read
        return Mixture(tuple((open_dataset(one), weight) for one, weight in zip(place, weights, strict=True)))
    if weights is not None:
        raise InputError(f"weights: expected none for one data set, found {list(weights)}")
    if "://" in str(place) or Path(place).is_dir():
        return ShardDataset(str(place))
    if Path(place).is_file():
        return PoolDataset.open(Path(place))
    raise InputError(f"{place}: expected a pool's file or a folder of shards, found none")


def parts_of(data: Dataset) -> list[Dataset]:
    """The pools and shards of a mixture, and of mixtures in it; anything else alone."""
    return [one for part, _ in data.parts for one in parts_of(part)] if isinstance(data, Mixture) else [data]


def map_parts(data: Dataset, change: Callable[[Dataset], Dataset]) -> Dataset:
    """The data set with each of `parts_of` it changed, in the same proportions."""
    if isinstance(data, Mixture):
        return replace(data, parts=tuple((map_parts(part, change), weight) for part, weight in data.parts))
    return change(data)
