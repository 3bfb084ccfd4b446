"""Samples that are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from enpointe.evaluation.samples.sample import Sample, SampleSet


class MemorySamples(SampleSet):
    """Samples as they are given."""

    def __init__(self, samples: Sequence[Sample], kind: str = "generated") -> None:
        super().__init__("memory", kind, None)
        self._held = list(samples)

    def _size(self) -> int:
        return len(self._held)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        return (sample for sample in self._held if self._sound(sample))
