"""What a run says in numbers: scores with their intervals, and the values of single samples, in groups too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.evaluation.measures.scores import CONFIDENCE

RESAMPLES = 1000
SAMPLING = 6
"""Keeps the random numbers of the choices here apart from others of the same seed."""

Row = dict[str, Any]
"""What is known of one sample, as JSON can hold it."""


@dataclass(frozen=True)
class Score:
    """One number of a run.

    Attributes:
        name, title: for programs and for people.
        better: "lower", "higher", or "half" where 0.5 is best.
        low, high: of the 95 % interval; None where there is none.
        shown: how people want it: a share as per cent, else a number.
        what: what it is, in a sentence.
        note: what is to be minded with this very value.
    """

    name: str
    title: str
    value: float
    better: Literal["lower", "higher", "half"]
    what: str
    low: float | None = None
    high: float | None = None
    shown: Literal["number", "share"] = "number"
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def mean_score(
    name: str, title: str, values: ArrayLike, better: Literal["lower", "higher"], what: str, seed: int,
    shown: Literal["number", "share"] = "number", note: str | None = None,
) -> Score:  # fmt: skip
    """The mean of samples' own values, with a bootstrap interval where there are at least two."""
    array = np.asarray(values, np.float64)
    low, high = mean_interval(array, seed)
    return Score(name, title, float(array.mean()), better, what, low, high, shown, note)


def mean_interval(values: NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    """Where the mean of as many other samples would lie (percentile bootstrap)."""
    if len(values) < 2:
        return None, None
    rng = np.random.default_rng([seed, SAMPLING])
    # In parts, for an index of 1,000 draws of 10,000 is 80 MB.
    means = np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


PER_SAMPLE: dict[str, tuple[str, Literal["lower", "higher"], Literal["number", "share"]]] = {
    "named": ("named right", "higher", "share"),
    "r_at_1": ("R@1", "higher", "share"),
    "clip_score": ("text match", "higher", "number"),
    "f_score": ("F-score", "higher", "share"),
    "chamfer": ("distance to prompt", "lower", "number"),
    "watertight": ("watertight", "higher", "share"),
    "components": ("pieces", "lower", "number"),
    "self_intersection": ("self-intersection", "lower", "share"),
    "normal_consistency": ("normal consistency", "higher", "number"),
}
"""Values of single samples: name, which way is better, how it is shown."""


def groups(rows: Sequence[Row], seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Means of the samples' own values by noun, by colour and by whether the pair of both was seen in training.

    Each entry has "group", "n", and of each value its mean, over those of the group's samples that have it.
    """
    labels: dict[str, Callable[[Row], str | None]] = {
        "seen": lambda row: ("seen" if row["seen"] else "held-out") if row.get("colour") else None,
        "noun": lambda row: row.get("noun"),
        "colour": lambda row: row.get("colour"),
    }
    return {name: made for name, label in labels.items() if (made := _grouped(rows, label))}


def _grouped(rows: Sequence[Row], label: Callable[[Row], str | None]) -> list[dict[str, Any]]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        of = label(row)
        if of is not None:
            members.setdefault(of, []).append(row)
    table = []
    for of in sorted(members, key=lambda of: (of == "held-out", of)):
        entry: dict[str, Any] = {"group": of, "n": len(members[of])}
        for name in PER_SAMPLE:
            values = [float(row[name]) for row in members[of] if row.get(name) is not None]
            if values:
                entry[name] = float(np.mean(values))
        table.append(entry)
    return table


def worst_first(rows: Sequence[Row]) -> list[int]:
    """Indices of the samples, those that do worst over all that was measured of them first."""
    badness = np.zeros(len(rows))
    counted = np.zeros(len(rows))
    for name, (_, better, _) in PER_SAMPLE.items():
        has = np.array([row.get(name) is not None for row in rows], bool)
        if not has.any():
            continue
        values = np.array([float(row[name]) for row, known in zip(rows, has, strict=True) if known])
        values = values if better == "lower" else -values
        # The share of samples that do better, half of those alike counted.
        order = np.sort(values)
        place = (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")) / 2
        badness[has] += place / len(values)
        counted[has] += 1
    badness = np.where(counted > 0, badness / np.maximum(counted, 1), 0)
    return np.argsort(-badness, kind="stable").tolist()
