"""What a run says in numbers: quantities, and scores of a whole run with their intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.evaluation.measures.classifier_scores import CONFIDENCE

RESAMPLES = 1000
SAMPLING = 6
"""Keeps the random numbers of the choices here apart from others of the same seed."""

Better = Literal["lower", "higher", "half"]
Shown = Literal["number", "share"]
Interval = tuple[float | None, float | None]
"""Ends of a 95 % interval; None where there is none."""
Row = dict[str, Any]
"""What is known of one sample, as JSON can hold it."""


@dataclass(frozen=True)
class Score:
    """One number of a run.

    Attributes:
        name, title, better, shown: see `Quantity`.
        low, high: of the 95 % interval; None where there is none.
        what: what it is, in a sentence.
        note: a caveat of this very value.
        section: of the report; see `Metric`.
    """

    name: str
    title: str
    value: float
    better: Better
    what: str
    low: float | None = None
    high: float | None = None
    shown: Shown = "number"
    note: str | None = None
    section: str = ""

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Quantity:
    """What a metric measures, of a run or of a single sample.

    Attributes:
        name, title: for programs and for people.
        better: "lower", "higher", or "half" where 0.5 is best.
        shown: how people want it: a share as per cent, else a number.
        swept: whether a sweep plots it.
        figure: whether a sample's card shows it as a number; False where a badge says it.
    """

    name: str
    title: str
    better: Better
    shown: Shown = "number"
    swept: bool = False
    figure: bool = True

    def score(self, value: float, what: str, interval: Interval = (None, None), note: str | None = None) -> Score:
        """Its value in a run."""
        return Score(self.name, self.title, value, self.better, what, *interval, self.shown, note)

    def mean(self, values: ArrayLike, what: str, seed: int, note: str | None = None) -> Score:
        """The mean of the samples' own values, with a bootstrap interval where there are at least two."""
        array = np.asarray(values, np.float64)
        return self.score(float(array.mean()), what, mean_interval(array, seed), note)


def mean_interval(values: NDArray[np.float64], seed: int) -> Interval:
    """Where the mean of as many other samples would lie (percentile bootstrap)."""
    if len(values) < 2:
        return None, None
    rng = np.random.default_rng([seed, SAMPLING])
    # In parts, for an index of 1,000 draws of 10,000 is 80 MB.
    means = np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
