"""The Fréchet distance between two sets of features (arXiv 1706.08500; P-FID in arXiv 2212.08751)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureStatistics:
    """The Gaussian that stands for a set of features."""

    mean: Doubles
    """(d,)."""
    covariance: Doubles
    """(d, d), symmetric; the unbiased estimate where it comes from samples."""
    count: int | None = None
    """Samples that it comes from; None where this is not known."""

    @classmethod
    def of(cls, features: NDArray[Any]) -> FeatureStatistics:
        """The statistics of features (n, d), in float64.

        Raises:
            InputError: another shape, fewer than two samples, or NaN.
        """
        exact = _checked(features)
        if len(exact) < 2:
            raise InputError(f"features: expected shape (n, d) with n at least 2, found {features.shape}")
        return cls(exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False)), len(exact))


class RunningStatistics:
    """`FeatureStatistics` of a stream in the memory of one batch and one covariance, whatever the stream's length.

    Batches are merged by their means and scatter about them (Chan, Golub and LeVeque, 1983), which loses no
    digits to a mean that is large beside the spread, as sums of squares would.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Doubles = np.zeros(0)
        self._scatter: Doubles = np.zeros((0, 0))

    def add(self, features: NDArray[Any]) -> None:
        """Take in features (n, d), n from 0.

        Raises:
            InputError: another shape or d than before, NaN or infinity; nothing of the batch is counted then.
        """
        exact = _checked(features)
        size, d = exact.shape
        if not self.count:
            self._mean, self._scatter = np.zeros(d), np.zeros((d, d))
        if d != len(self._mean):
            raise InputError(f"features: expected {len(self._mean)} of each sample as before, found {d}")
        if not size:
            return
        mean = exact.mean(axis=0)
        centered = exact - mean
        shift = mean - self._mean
        total = self.count + size
        self._scatter += centered.T @ centered + np.outer(shift, shift) * (self.count * size / total)
        self._mean += shift * (size / total)
        self.count = total

    def statistics(self) -> FeatureStatistics:
        """Those of all that was added; InputError where that is fewer than two samples."""
        if self.count < 2:
            raise InputError(f"features: expected at least 2 samples, found {self.count}")
        return FeatureStatistics(self._mean.copy(), self._scatter / (self.count - 1), self.count)


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), at least 0, for covariances A and B.

    (A B)^(1/2) and (A^(1/2) B A^(1/2))^(1/2) have the same trace, and it is the sum of the singular values of
    A^(1/2) B^(1/2): with symmetric roots it is real whatever the rank, so that fewer samples than dimensions
    need no jitter, and no square of a covariance is formed, which would cost half of the digits.

    Raises:
        InputError: the two are of different dimensions, or no Gaussians of that dimension; NaN or infinity.
    """
    for statistics in (a, b):
        d = len(a.mean)
        if statistics.mean.shape != (d,) or statistics.covariance.shape != (d, d):
            found = f"{statistics.mean.shape} and {statistics.covariance.shape}"
            raise InputError(f"statistics: expected mean ({d},) and covariance ({d}, {d}), found {found}")
        if not (np.isfinite(statistics.mean).all() and np.isfinite(statistics.covariance).all()):
            raise InputError("statistics: expected finite numbers, found NaN or infinity")
    between = np.linalg.norm(a.mean - b.mean) ** 2
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    return max(0.0, float(between + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap))


def _checked(features: NDArray[Any]) -> Doubles:
    if features.ndim != 2:
        raise InputError(f"features: expected shape (n, d), found {features.shape}")
    if not np.isfinite(features).all():
        raise InputError("features: expected finite numbers, found NaN or infinity")
    return features.astype(np.float64, copy=False)


def _root(covariance: Doubles) -> Doubles:
    """The symmetric root, with eigenvalues that are zero but for rounding taken as zero."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    values = np.where(values > len(values) * np.finfo(np.float64).eps * values.max(initial=0), values, 0)
    return (vectors * np.sqrt(values)) @ vectors.T
