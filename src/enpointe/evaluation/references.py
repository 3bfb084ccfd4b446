"""References: new objects where a run brings none, and what is kept of them by their prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from enpointe.evaluation.prompts import subject_of, texts_of
from enpointe.evaluation.samples.procedural import ProceduralSamples

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


def procedural_reference(
    prompts: Sequence[str], at_least: int, *, n_points: int, seed: int
) -> ProceduralSamples | None:
    """New objects of the prompts' things, PER_PROMPT of each or more; None where no prompt has a `Subject`."""
    texts = texts_of(prompts)
    known = sum(subject_of(text) is not None for text in texts)
    if not known:
        return None
    return ProceduralSamples(texts, max(at_least, PER_PROMPT * known), n_points=n_points, seed=seed)
