"""Epochs of a data set whose examples are made by index: each object in turn, or as often as its weight says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.data.datasets.dataset import Stream, check_identity, count
from enpointe.data.example import Example

Indices = NDArray[np.int64]


def epoch_order(objects: Indices, weights: NDArray[np.float64] | None, rng: np.random.Generator) -> Indices:
    """As many draws as there are objects, in random order: each object once, or in proportion to its weight.

    With weights (positive, one for each object) an object of w times the mean weight comes w times, rounded up or
    down at random.
    """
    order = rng.permutation(objects)
    if weights is None:
        return order
    ends = np.cumsum(weights[np.searchsorted(objects, order)])
    marks = (rng.random() + np.arange(len(objects))) * (ends[-1] / len(objects))
    drawn = order[np.searchsorted(ends, marks, side="right").clip(max=len(objects) - 1)]
    return rng.permutation(drawn)


class EpochStream(Stream):
    """Epoch after epoch of examples made by index.

    Args:
        epoch: the indices of an epoch's share, in order, a function of its number alone.
        make: an example of an index.
        seed: of what is random in examples, together with the epoch and how many came before.
        identity: what a state must agree in to be resumed, as JSON can hold it.
    """

    def __init__(
        self,
        epoch: Callable[[int], Indices],
        make: Callable[[int, np.random.Generator], Example],
        seed: int,
        identity: Mapping[str, Any],
    ) -> None:
        self._epoch_of, self._make = epoch, make
        self._seed, self._identity = seed, {**identity, "seed": seed}
        self._go_to(0, 0)

    def __next__(self) -> Example:
        while self._done == len(self._order):
            self._go_to(self._epoch + 1, 0)
        index = int(self._order[self._done])
        rng = np.random.default_rng([self._seed, self._epoch, 2, index, self._done])
        self._done += 1
        return self._make(index, rng)

    def state_dict(self) -> dict[str, Any]:
        return {**self._identity, "epoch": self._epoch, "done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_identity(state, self._identity)
        self._go_to(count(state, "epoch"), count(state, "done"))

    def _go_to(self, epoch: int, done: int) -> None:
        self._epoch, self._done = epoch, done
        self._order = self._epoch_of(epoch)
