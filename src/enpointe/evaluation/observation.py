"""Single samples as metrics observe them, and what is known of a whole set afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.features import CloudFeatures
from enpointe.evaluation.measures.mesh_metrics import OrientedPoints, sample_surface
from enpointe.evaluation.samples.sample import Failure, Sample
from enpointe.geometry.point_cloud import Frame, PointCloud

THIN = 2048
"""Points of a cloud, or of a surface, that are compared with others'."""

Thin = NDArray[np.float32]
"""(at most THIN, 3), in the unit frame."""


@dataclass
class Observation:
    """A sample while it is at hand. What several metrics want of it is computed once.

    Attributes:
        index: its place in its set.
        seed: of the run.
        failures: of its set; see `fail`.
    """

    index: int
    sample: Sample
    seed: int
    failures: list[Failure]

    @cached_property
    def thin(self) -> Thin:
        """At most THIN of the cloud's points, drawn at random, in the unit frame of the whole cloud."""
        return thinned(self.sample.cloud, np.random.default_rng([self.seed, 2, self.index]))

    @cached_property
    def surface(self) -> OrientedPoints | None:
        """See `oriented`; None, too, for a mesh without area, which is a failure."""
        try:
            return oriented(self.sample, [self.seed, 3, self.index])
        except InputError as error:
            self.fail(f"its mesh: {error}")
            return None

    def fail(self, reason: str) -> None:
        """Notes that something of this sample could not be measured."""
        self.failures.append(Failure(self.sample.name, reason))


@dataclass
class Observed:
    """What is known of the n samples of a set, in their order, once all were observed.

    Attributes:
        names, prompts, seeds: of them.
        seconds: that each took to be generated, by stage.
        points: how many points the clouds have, least and most.
        meshes: how many samples have one.
        features: features and class probabilities, where a metric needs the classifier.
    """

    names: list[str] = field(default_factory=list)
    prompts: list[str | None] = field(default_factory=list)
    seeds: list[int | None] = field(default_factory=list)
    seconds: list[dict[str, float] | None] = field(default_factory=list)
    points: tuple[int, int] | None = None
    meshes: int = 0
    features: CloudFeatures | None = None

    def __len__(self) -> int:
        return len(self.names)

    def add(self, sample: Sample) -> None:
        """Takes in what is known of the next sample."""
        self.names.append(sample.name)
        self.prompts.append(sample.prompt)
        self.seeds.append(sample.seed)
        self.seconds.append(sample.seconds)
        self.meshes += sample.mesh is not None
        size = len(sample.cloud)
        least, most = self.points or (size, size)
        self.points = min(least, size), max(most, size)


def thinned(cloud: PointCloud, rng: np.random.Generator) -> Thin:
    """At most THIN of a cloud's points, drawn at random, in the unit frame of the whole cloud."""
    points = Frame.of(cloud.points).to_unit(cloud.points)
    if len(points) <= THIN:
        return points
    return points[rng.choice(len(points), THIN, replace=False)]


def oriented(sample: Sample, seed: list[int]) -> OrientedPoints | None:
    """At most THIN points, drawn at random, of a sample's mesh, else of its cloud where normals are known.

    In the unit frame of the whole; None for a cloud without normals.

    Raises:
        InputError: a mesh without area.
    """
    if sample.mesh is not None:
        points, normals = sample_surface(sample.mesh, THIN, seed)
        frame = Frame.of(sample.mesh.vertices[np.unique(sample.mesh.faces)])
        return OrientedPoints(frame.to_unit(points), normals.astype(np.float32))
    if sample.normals is None:
        return None
    points = Frame.of(sample.cloud.points).to_unit(sample.cloud.points)
    chosen = np.random.default_rng(seed).permutation(len(points))[:THIN]
    return OrientedPoints(points[chosen], sample.normals[chosen])
