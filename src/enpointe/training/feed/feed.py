"""The contract between the loop and what feeds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from enpointe.training.settings import Phase
from enpointe.training.task import Batch

E = TypeVar("E")


class Feed(Protocol[E]):
    """One process's part of the examples of every step."""

    def batch(self, step: int, phase: Phase[E]) -> Batch:
        """The examples of a step on the training device, as `Task.prepare` takes them.

        Raises:
            InputError: what they are read from is absent or damaged, or lacks what the task needs.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            InputError: it was taken of other data, or of another number of processes.
        """
        ...

    def close(self) -> None:
        """Ends its processes."""
        ...
