"""P-FID and P-IS as they are reported: with an interval, and with what the number of samples is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.frechet import FeatureStatistics, frechet_distance
from enpointe.evaluation.measures.inception import SPLIT_SIZE, inception_score

RESAMPLES = 100
CONFIDENCE = 0.95
"""Of every interval here."""


@dataclass(frozen=True)
class Interval:
    """Where the score of as many other samples would lie, of 100 such intervals in about 95 (bootstrap).

    A resample repeats samples, and so scores worse on average than the samples do: the resamples' quantiles
    are moved by `bias`, so that the interval holds the score.
    """

    low: float
    high: float
    bias: float
    """Mean of the resamples' scores less the score: about how much the finite number of samples adds to it."""


def ends(interval: Interval | None) -> tuple[float | None, float | None]:
    """The interval's two ends; None where there is none."""
    return (None, None) if interval is None else (interval.low, interval.high)


@dataclass(frozen=True)
class PFID:
    """The Fréchet distance of two sets of clouds, best at 0."""

    value: float
    interval: Interval | None
    """None where none was requested."""
    samples: int
    reference: int | None
    """How many there were; None where the reference came as statistics of unknown origin."""
    needed: int
    """Of each: one more than there are features, below which a covariance is singular."""

    @property
    def note(self) -> str | None:
        """A caveat of the value: None where there were enough clouds."""
        few = {"samples": self.samples, "reference clouds": self.reference}
        short = [f"{count} {name}" for name, count in few.items() if count is not None and count < self.needed]
        if not short:
            return None
        return (
            f"P-FID of {' and '.join(short)}: at least {self.needed} of each are needed for covariances of full rank; "
            "with fewer it is too high, and to be compared only with one of the same numbers"
        )


@dataclass(frozen=True)
class PIS:
    """The inception score of a set of clouds: from 1 to the number of classes, the more the better."""

    value: float
    interval: Interval | None
    """None where none was requested."""
    samples: int
    classes: int
    classes_seen: int
    """Classes that are some cloud's likeliest."""

    @property
    def note(self) -> str | None:
        """A caveat of the value: None where there were enough clouds, of more than one class."""
        if self.classes_seen == 1:
            return f"P-IS: all {self.samples} clouds were taken for the same class"
        if self.samples < self.classes:
            return f"P-IS of {self.samples} samples: at least {self.classes} are needed to reach every class"
        return None


def p_fid(
    samples: NDArray[Any], reference: NDArray[Any] | FeatureStatistics, *, resamples: int = RESAMPLES, seed: int = 0
) -> PFID:
    """Score features against those of real clouds.

    Args:
        samples: (n, d), n at least 2.
        reference: (m, d), m at least 2, or their statistics, which are then taken as exact by the interval.
        resamples: sets drawn for the interval, from both sides; 0 for none. Each costs about as much as the score.
        seed: of these draws; the same seed, the same interval.

    Raises:
        InputError: fewer than two samples, no reference or one of other features, NaN.
    """
    _check_resamples(resamples)
    ours = _statistics(samples, "samples")
    theirs = reference if isinstance(reference, FeatureStatistics) else _statistics(reference, "reference")
    value = frechet_distance(ours, theirs)
    rng = np.random.default_rng(seed)
    one = np.asarray(samples, np.float64)
    two = None if isinstance(reference, FeatureStatistics) else np.asarray(reference, np.float64)
    scores = np.array(
        [
            frechet_distance(_resampled(one, rng), theirs if two is None else _resampled(two, rng))
            for _ in range(resamples)
        ]
    )
    return PFID(value, _interval(value, scores, lowest=0), len(samples), theirs.count, len(ours.mean) + 1)


def p_is(
    probabilities: NDArray[Any], *, split_size: int = SPLIT_SIZE, resamples: int = RESAMPLES, seed: int = 0
) -> PIS:
    """Score class probabilities (n, classes); zeros among them are allowed.

    Args:
        probabilities: rows that sum to 1.
        split_size: as for `inception_score`.
        resamples: sets drawn for the interval, split by split; 0 for none.
        seed: of these draws; the same seed, the same interval.

    Raises:
        InputError: no rows, rows that are no probabilities, or of one class only, where the score means nothing.
    """
    _check_resamples(resamples)
    value = inception_score(probabilities, split_size)
    count, classes = probabilities.shape
    if classes < 2:
        raise InputError("probabilities: expected at least 2 classes, found 1, with which every score is 1")
    rows = probabilities.astype(np.float64, copy=False)
    rng = np.random.default_rng(seed)
    parts = [rows[first : first + split_size] for first in range(0, count, split_size)]
    scores = np.array([_resampled_inception(part, resamples, rng) for part in parts]).mean(axis=0)
    seen = len(np.unique(rows.argmax(axis=1)))
    return PIS(value, _interval(value, scores, lowest=1), count, classes, seen)


def _check_resamples(resamples: int) -> None:
    if resamples < 0 or resamples == 1:
        raise InputError(f"resamples: expected 0 or at least 2, found {resamples}")


def _statistics(features: NDArray[Any], name: str) -> FeatureStatistics:
    if len(features) < 2:
        raise InputError(f"{name}: expected the features of at least 2 clouds, found {len(features) or 'none'}")
    return FeatureStatistics.of(features)


def _resampled(features: NDArray[np.float64], rng: np.random.Generator) -> FeatureStatistics:
    """The statistics of as many rows drawn with replacement; those drawn twice are counted, not copied."""
    count = len(features)
    times = np.bincount(rng.integers(count, size=count), minlength=count)
    drawn = times.nonzero()[0]
    rows, weights = features[drawn], times[drawn].astype(np.float64)
    mean = weights @ rows / count
    rows -= mean
    rows *= np.sqrt(weights)[:, None]
    return FeatureStatistics(mean, rows.T @ rows / (count - 1), count)


def _resampled_inception(rows: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The inception scores of `resamples` draws from one split: entropy of the mean less the mean entropy."""
    own = xlogy(rows, rows).sum(axis=1)
    scores = np.empty(resamples)
    for i in range(resamples):
        share = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows)) / len(rows)
        mean = share @ rows
        scores[i] = np.exp(share @ own - xlogy(mean, mean).sum())
    return scores


def _interval(value: float, scores: NDArray[np.float64], lowest: float) -> Interval | None:
    if not len(scores):
        return None
    bias = float(scores.mean()) - value
    low, high = (float(edge) - bias for edge in np.quantile(scores, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    return Interval(max(lowest, min(low, value)), max(high, value), bias)
