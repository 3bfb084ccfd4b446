"""References: new objects where a run brings none, and what is kept of them by their prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from enpointe.evaluation.prompts import texts_of, understood
from enpointe.evaluation.samples.true_objects import TrueObjects

PER_PROMPT, IN_ALL = 4, 4096
"""References that are kept of each prompt, and in all."""

T = TypeVar("T")


class References(Generic[T]):
    """What is kept of the first PER_PROMPT references of each prompt, by prompt."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self.kept: dict[str, list[T]] = {}

    def offer(self, prompt: str | None, make: Callable[[], T | None]) -> None:
        """Keeps what `make` gives of the next reference, if its prompt has room; with None a place stays empty."""
        if prompt is None or self._taken[prompt] >= PER_PROMPT or self._taken.total() >= IN_ALL:
            return
        self._taken[prompt] += 1
        if (thing := make()) is not None:
            self.kept.setdefault(prompt, []).append(thing)


def procedural_reference(prompts: Sequence[str], at_least: int, *, n_points: int, seed: int) -> TrueObjects | None:
    """New objects of what the prompts ask for, PER_PROMPT of each or more; None where none asks plainly for a thing."""
    texts = texts_of(prompts)
    known = sum(understood(text) is not None for text in texts)
    if not known:
        return None
    return TrueObjects(texts, max(at_least, PER_PROMPT * known), n_points=n_points, seed=seed)
