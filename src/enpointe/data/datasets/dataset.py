"""What training knows of a data set, and of an endless stream of its examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

from enpointe.core.errors import InputError
from enpointe.data.example import Example


class Dataset(Protocol):
    """Examples, all or a part of them. It is a value: parts are new data sets, which share what is loaded."""

    @property
    def size(self) -> int | None:
        """How many examples an epoch has; None where that shows only when they are read."""
        ...

    def split(self, held_out: bool) -> Self:
        """Those that are held out from training, or the others; which is which follows from the object alone."""
        ...

    def share(self, rank: int, ranks: int) -> Self:
        """An equal share of every epoch: that of `rank`, 0 <= rank < ranks. Together they are the whole epoch.

        Raises:
            InputError: there is no such rank.
        """
        ...

    def stream(self, seed: int = 0) -> Stream:
        """Epoch after epoch of examples.

        Args:
            seed: the order, and what is random in examples, are a function of it, the same for all ranks.

        Raises:
            InputError: this part has no examples.
        """
        ...


class Stream(ABC, Iterator[Example]):
    """An endless iterator that can be stopped after any example and resumed at the next, by another process too."""

    @abstractmethod
    def __next__(self) -> Example:
        """The next example.

        Raises:
            InputError: what it is read from is absent or damaged.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume where `state_dict` was taken.

        Raises:
            InputError: it was taken of another data set, part, share or seed.
        """


def check_share(rank: int, ranks: int) -> None:
    """InputError where there is no such rank."""
    if not 0 <= rank < ranks:
        raise InputError(f"expected 0 <= rank < ranks, found rank {rank} of {ranks}")


def check_identity(state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """InputError where a state was taken of another stream than the one that is expected."""
    found = {name: state.get(name) for name in expected}
    if found != expected:
        raise InputError(f"expected the state of a stream of {dict(expected)}, found one of {found}")


def count(state: Mapping[str, Any], name: str) -> int:
    """A number in a state; InputError where there is none."""
    value = state.get(name)
    if not isinstance(value, int) or value < 0:
        raise InputError(f"stream's state: expected a whole number as {name}, found {value!r}")
    return value
