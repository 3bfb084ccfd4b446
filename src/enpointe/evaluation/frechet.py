"""The Fréchet distance between two sets of features (arXiv 1706.08500; P-FID in arXiv 2212.08751)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.errors import InputError

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureStatistics:
    """The Gaussian that stands for a set of features."""

    mean: Doubles
    """(d,)."""
    covariance: Doubles
    """(d, d), symmetric; the unbiased estimate where it comes from samples."""

    @classmethod
    def of(cls, features: NDArray[Any]) -> FeatureStatistics:
        """The statistics of features (n, d), in float64.

        Raises:
            InputError: another shape, fewer than two samples, or NaN.
        """
        if features.ndim != 2 or len(features) < 2:
            raise InputError(f"features: expected shape (n, d) with n at least 2, found {features.shape}")
        if not np.isfinite(features).all():
            raise InputError("features: expected finite numbers, found NaN or infinity")
        exact = features.astype(np.float64, copy=False)
        return cls(exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False)))


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), at least 0, for covariances A and B.

    (A B)^(1/2) and (A^(1/2) B A^(1/2))^(1/2) have the same trace, and it is the sum of the singular values of
    A^(1/2) B^(1/2): with symmetric roots it is real whatever the rank, so that fewer samples than dimensions
    need no jitter, and no square of a covariance is formed, which would cost half of the digits.

    Raises:
        InputError: the two are of different dimensions, or no Gaussians of that dimension.
    """
    for statistics in (a, b):
        d = len(a.mean)
        if statistics.mean.shape != (d,) or statistics.covariance.shape != (d, d):
            found = f"{statistics.mean.shape} and {statistics.covariance.shape}"
            raise InputError(f"statistics: expected mean ({d},) and covariance ({d}, {d}), found {found}")
    between = np.linalg.norm(a.mean - b.mean) ** 2
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    return max(0.0, float(between + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap))


def _root(covariance: Doubles) -> Doubles:
    """The symmetric root, with eigenvalues that are zero but for rounding taken as zero."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    values = np.where(values > len(values) * np.finfo(np.float64).eps * values.max(initial=0), values, 0)
    return (vectors * np.sqrt(values)) @ vectors.T
