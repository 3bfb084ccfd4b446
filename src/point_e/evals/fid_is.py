"""The release's names for `enpointe.evaluation.measures.frechet` and `.inception`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.evaluation.measures.frechet import FeatureStatistics, frechet_distance
from enpointe.evaluation.measures.inception import SPLIT_SIZE, inception_score

__all__ = ["FIDStatistics", "InvalidFIDException", "compute_inception_score", "compute_statistics"]


class InvalidFIDException(Exception):  # noqa: N818 - the release's name
    """Never raised, as in the release."""


class FIDStatistics:
    """Mean `mu` (d,) and covariance `sigma` (d, d) of a set of features."""

    def __init__(self, mu: NDArray[Any], sigma: NDArray[Any]) -> None:
        self.mu = mu
        self.sigma = sigma

    def frechet_distance(self, other: FIDStatistics, eps: float = 1e-6) -> float:
        """The Fréchet distance; `eps`, the release's jitter for singular covariances, is not needed."""
        return frechet_distance(self._statistics(), other._statistics())

    def _statistics(self) -> FeatureStatistics:
        mean = np.atleast_1d(np.asarray(self.mu, np.float64))
        return FeatureStatistics(mean, np.atleast_2d(np.asarray(self.sigma, np.float64)))


def compute_statistics(feats: NDArray[Any]) -> FIDStatistics:
    """The statistics of features (n, d)."""
    statistics = FeatureStatistics.of(np.asarray(feats))
    return FIDStatistics(statistics.mean, statistics.covariance)


def compute_inception_score(preds: NDArray[Any], split_size: int = SPLIT_SIZE) -> float:
    """The inception score of probabilities (n, classes)."""
    return inception_score(np.asarray(preds), split_size)
