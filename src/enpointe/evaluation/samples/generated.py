"""The clouds of a run, in its folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from enpointe.core.errors import InputError
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.io.sample_folder import SampleFolder

SAMPLES = "samples"

Pair = tuple[str, int]
"""A prompt and a seed."""


class GeneratedSamples(SampleSet):
    """The clouds of pairs of prompt and seed in a run's folder, generated before they are read."""

    def __init__(self, folder: Path, pairs: Sequence[Pair]) -> None:
        super().__init__("generated", "generated", None)
        self._folder, self._pairs = folder, list(pairs)

    def _size(self) -> int:
        return len(self._pairs)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for pair in self._pairs:
            folder = sample_folder(self._folder, pair)
            name = folder.path.name
            if only is not None and name not in only:
                continue
            try:
                sample = Sample(name, folder.cloud(), *pair, folder.mesh(), dict(folder.meta()["seconds"]))
            except (InputError, OSError, ValueError, KeyError) as error:
                self.failures.append(Failure(name, str(error)))
                continue
            if sample.mesh is None and "mesh" in (sample.seconds or {}):
                self.failures.append(Failure(name, "its mesh: the network saw no closed surface"))
            if self._sound(sample):
                yield sample


def sample_folder(run: Path, pair: Pair) -> SampleFolder:
    """The folder of a pair in that of a run: words to recognize it by, and digits that keep prompts apart."""
    prompt, seed = pair
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40]
    digits = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return SampleFolder(run / SAMPLES / f"{words}-{digits}-{seed}")
