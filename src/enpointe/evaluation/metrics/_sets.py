"""Samples and reference as two sets of clouds with distances between them (arXiv 1707.02392, 1906.12320)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from enpointe.evaluation.measures.shape_metrics import Distance, set_scores
from enpointe.evaluation.metric import Metric, NotMeasured, Run, Tools
from enpointe.evaluation.observation import Observation, Thin
from enpointe.evaluation.score import SAMPLING, Quantity, Score


def set_quantities(name: str, short: str) -> tuple[Quantity, Quantity, Quantity]:
    """Minimum matching distance, coverage and accuracy of the nearest neighbor."""
    return (
        Quantity(f"{name}_mmd", f"MMD ({short})", "lower"),
        Quantity(f"{name}_coverage", f"Coverage ({short})", "higher", "share"),
        Quantity(f"{name}_one_nna", f"1-NNA ({short})", "half", "share"),
    )


class SetDistance(Metric):
    """MMD, coverage and 1-NNA by one distance.

    Attributes:
        distance, words: its name in `shape_metrics`, and for people.
        clouds, points: of each set, at most: the time grows with the square of the clouds, and of the earth mover's
            distance with the third power of the points.
        equal_points: whether all clouds must have as many.
    """

    needs = frozenset({"reference"})
    section = "Distances to reference clouds"
    distance: ClassVar[Distance]
    words: ClassVar[str]
    clouds: ClassVar[int]
    points: ClassVar[int]
    equal_points: ClassVar[bool] = False

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._samples, self._reference = Reservoir(self.seed), Reservoir(self.seed)

    def observe(self, sample: Observation) -> None:
        self._samples.offer(sample)

    def observe_reference(self, sample: Observation) -> None:
        self._reference.offer(sample)

    def score(self, run: Run) -> list[Score]:
        sides = self._samples.clouds(), self._reference.clouds()
        n = min(self.clouds, *map(len, sides))
        if n < 2:
            raise NotMeasured(f"at least 2 clouds of each are needed, found {len(sides[0])} and {len(sides[1])}")
        ours, theirs = (_subset(side, n, self.points, [self.seed, SAMPLING, i]) for i, side in enumerate(sides))
        sizes = {len(cloud) for cloud in (*ours, *theirs)}
        if self.equal_points and len(sizes) > 1:
            raise NotMeasured(
                f"clouds of equally many points, or of at least {self.points}, are needed; found smaller ones"
            )
        found = set_scores(ours, theirs, self.distance)
        of = f"of {n} samples and {n} reference clouds drawn at random"
        note = f"{of}, {min(sizes):,} points each, scaled to the unit box"
        mmd, coverage, one_nna = self.scores
        return [
            mmd.score(
                found.mmd, f"mean {self.words} distance of each reference cloud to the nearest sample", note=note
            ),
            coverage.score(found.coverage, "share of the reference clouds that are nearest to some sample", note=note),
            one_nna.score(
                found.one_nna,
                "share of all clouds whose nearest other one is of their own set: 50 % where samples and reference "
                "cannot be told apart",
                note=note,
            ),
        ]


class Reservoir:
    """Up to SIZE of a set's clouds, drawn at random from a stream.

    Vitter 1985, algorithm R: each has the same chance, and how many there are need not be known.
    """

    SIZE = 64

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._held: list[tuple[int, Thin]] = []

    def offer(self, sample: Observation) -> None:
        """The next of the set."""
        if len(self._held) < self.SIZE:
            self._held.append((sample.index, sample.thin))
        elif (place := int(self._rng.integers(sample.index + 1))) < self.SIZE:
            self._held[place] = (sample.index, sample.thin)

    def clouds(self) -> list[Thin]:
        """Those that are held, in the set's order."""
        return [cloud for _, cloud in sorted(self._held, key=lambda item: item[0])]


def _subset(clouds: list[Thin], n: int, points: int, seed: list[int]) -> list[Thin]:
    """n of the clouds; their points are in random order only where some were left out."""
    rng = np.random.default_rng(seed)
    return [
        cloud[rng.permutation(len(cloud))[:points]]
        for cloud in (clouds[i] for i in sorted(rng.permutation(len(clouds))[:n].tolist()))
    ]
