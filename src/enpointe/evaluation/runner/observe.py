"""One pass over a set of clouds: what is known of each, its features, and what metrics keep of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.precision import find_dtype
from enpointe.core.progress import Progress, ProgressCallback
from enpointe.evaluation.classifiers import Classifier
from enpointe.evaluation.measures.features import CloudFeatures, embed, joined
from enpointe.evaluation.observation import Observation, Observed
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.settings import Settings

BATCH = 64
"""Clouds whose features are computed together."""


def observe(
    stage: str,
    samples: SampleSet,
    observers: Sequence[Callable[[Observation], None]],
    settings: Settings,
    classifier: Classifier | None,
    progress: ProgressCallback,
) -> Observed:
    """Goes once through the samples.

    Args:
        stage: what `progress` calls it.
        observers: called with every sample.
        classifier: whose features are wanted, if any.

    Raises:
        InputError: no sample can be read.
    """
    found = Observed()
    features = None if classifier is None else _Features(classifier, settings, samples.start_period)
    for i, sample in enumerate(samples):
        found.add(sample)
        if features is not None:
            features.add(sample.cloud.points)
        observation = Observation(i, sample, settings.seed, samples.failures)
        for observer in observers:
            observer(observation)
        progress(Progress(stage, i + 1, len(samples)))
    if not len(found):
        first = f" ({samples.failures[0].name}: {samples.failures[0].reason})" if samples.failures else ""
        raise InputError(f"{samples.place}: expected clouds, found none that can be read{first}")
    found.features = None if features is None else features.finish()
    return found


class _Features:
    """Features of clouds that come one by one, computed in batches of clouds of one size."""

    def __init__(self, classifier: Classifier, settings: Settings, start_period: int) -> None:
        self._network, self._period = classifier.network, start_period
        self._dtype = find_dtype(settings.feature_dtype, torch.device(settings.device))
        self._waiting: list[NDArray[np.float32]] = []
        self._parts: list[CloudFeatures] = []
        self._done = 0

    def add(self, points: NDArray[np.float32]) -> None:
        if self._waiting and (len(self._waiting) == BATCH or len(self._waiting[0]) != len(points)):
            self._flush()
        self._waiting.append(points)

    def finish(self) -> CloudFeatures:
        """All of them, of which there is at least one."""
        self._flush()
        return joined(self._parts)

    def _flush(self) -> None:
        clouds = np.stack(self._waiting)
        starts = (self._done + np.arange(len(clouds), dtype=np.int64)) % self._period
        self._parts.append(embed(self._network, clouds, starts, dtype=self._dtype))
        self._done += len(clouds)
        self._waiting.clear()
