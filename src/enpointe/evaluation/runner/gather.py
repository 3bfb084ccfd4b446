"""One pass over a set of clouds that collects all that its scores are made of, in bounded memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError, RenderError
from enpointe.evaluation.classifiers import Classifier
from enpointe.evaluation.measures.features import CloudFeatures, embed, joined
from enpointe.evaluation.measures.mesh_metrics import MeshQuality, OrientedPoints, mesh_quality, sample_surface
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import Frame, PointCloud

BATCH = 64
"""Clouds whose features are computed together."""
THIN = 2048
"""Points of a cloud, or of a surface, that are kept to be compared."""
SHAPES = 64
"""Clouds of a set, drawn at random, that are compared with as many of the other."""
TWINS, MAX_TWINS = 4, 4096
"""True clouds that are kept of each prompt, and in all."""
SURFACES = 4096
"""Surfaces of a set's meshes that are kept, the first ones."""
MESHES = 64
"""Meshes of a set that are examined, the first ones: self-intersection takes seconds each."""

Thin = NDArray[np.float32]
"""(at most THIN, 3), in the unit frame."""


class PictureSide(Protocol):
    """What R-Precision sees a cloud through."""

    def features_of(self, cloud: PointCloud, mesh: Mesh | None) -> NDArray[np.float32]:
        """The features (views, d) of pictures of a cloud, or of its mesh; RenderError if there can be none."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What to collect; each costs time.

    Attributes:
        half: features in bfloat16, see `features.embed`.
        thin: keep every sample's thinned cloud.
        surfaces: keep points of meshes, with the normals there; of a reference, of the twins.
        pictured: picture features of so many samples only, the first ones.
    """

    classifier: Classifier | None = None
    pictures: PictureSide | None = None
    pictured: int | None = None
    shapes: bool = False
    thin: bool = False
    surfaces: bool = False
    meshes: bool = False
    half: bool = False


@dataclass
class Gathered:
    """What was collected of n samples, in their order.

    Attributes:
        names, prompts, seeds: of them.
        seconds: that each took to be made.
        points: how many points the clouds have, least and most.
        seen: features and class probabilities.
        pictures: (views, d) picture features of samples whose prompt is known, by index.
        shapes: thinned clouds of up to SHAPES samples, by index.
        thin: thinned clouds of all.
        twins: thinned clouds by prompt, up to TWINS each.
        surfaces: THIN points of the first SURFACES meshes whose prompt is known, in the unit frame, by index.
        true_surfaces: the same of the twins by prompt, of those that have a mesh or normals.
        meshes: of the first MESHES that have one, by index.
    """

    names: list[str] = field(default_factory=list)
    prompts: list[str | None] = field(default_factory=list)
    seeds: list[int | None] = field(default_factory=list)
    seconds: list[dict[str, float] | None] = field(default_factory=list)
    points: tuple[int, int] | None = None
    seen: CloudFeatures | None = None
    pictures: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    shapes: dict[int, Thin] = field(default_factory=dict)
    thin: list[Thin] = field(default_factory=list)
    twins: dict[str, list[Thin]] = field(default_factory=dict)
    surfaces: dict[int, OrientedPoints] = field(default_factory=dict)
    true_surfaces: dict[str, list[OrientedPoints]] = field(default_factory=dict)
    meshes: dict[int, MeshQuality] = field(default_factory=dict)
    has_mesh: int = 0

    def __len__(self) -> int:
        return len(self.names)


def gather(
    samples: SampleSet,
    wanted: Wanted,
    *,
    twins: bool = False,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Gathered:
    """Go once through the samples.

    Args:
        twins: keep clouds (and surfaces) by their prompts: for a reference.
        seed: of the choice of clouds and points.
        progress: told how many samples are done.
    """
    found = Gathered()
    features = _Features(wanted, samples.start_period)
    kept = 0
    by_prompt: defaultdict[str, list[Thin]] = defaultdict(list)
    true_surfaces: defaultdict[str, list[OrientedPoints]] = defaultdict(list)
    rng = np.random.default_rng([seed, 1])
    place_of: list[int] = []  # which sample holds each of the SHAPES places
    for i, sample in enumerate(samples):
        found.names.append(sample.name)
        found.prompts.append(sample.prompt)
        found.seeds.append(sample.seed)
        found.seconds.append(sample.seconds)
        size = len(sample.cloud)
        found.points = (
            (size, size) if found.points is None else (min(found.points[0], size), max(found.points[1], size))
        )
        features.add(sample)
        if wanted.pictures is not None and sample.prompt and len(found.pictures) != wanted.pictured:
            try:
                found.pictures[i] = wanted.pictures.features_of(sample.cloud, sample.mesh)
            except RenderError as error:
                samples.failures.append(Failure(sample.name, f"no pictures of it: {error}"))
        if wanted.shapes or wanted.thin or twins:
            thin = thinned(sample.cloud, np.random.default_rng([seed, 2, i]))
            if wanted.shapes:
                # Reservoir sampling (Vitter 1985, algorithm R): each sample has the same chance, n need not be known.
                place = i if i < SHAPES else int(rng.integers(i + 1))
                if place < SHAPES:
                    if place == len(place_of):
                        place_of.append(i)
                    else:
                        del found.shapes[place_of[place]]
                        place_of[place] = i
                    found.shapes[i] = thin
            if wanted.thin:
                found.thin.append(thin)
            if twins and sample.prompt is not None and kept < MAX_TWINS and len(by_prompt[sample.prompt]) < TWINS:
                by_prompt[sample.prompt].append(thin)
                kept += 1
                if wanted.surfaces and (surface := _surface(samples, sample, [seed, 3, i])) is not None:
                    true_surfaces[sample.prompt].append(surface)
        if sample.mesh is not None:
            found.has_mesh += 1
            if wanted.surfaces and not twins and sample.prompt and len(found.surfaces) < SURFACES:
                surface = _surface(samples, sample, [seed, 3, i])
                if surface is not None:
                    found.surfaces[i] = surface
            if wanted.meshes and len(found.meshes) < MESHES:
                found.meshes[i] = mesh_quality(sample.mesh)
        progress(i + 1)
    found.seen = features.finish()
    found.twins = {prompt: clouds for prompt, clouds in by_prompt.items() if clouds}
    found.true_surfaces = dict(true_surfaces)
    found.shapes = dict(sorted(found.shapes.items()))
    return found


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


def _surface(samples: SampleSet, sample: Sample, seed: list[int]) -> OrientedPoints | None:
    """See `oriented`; a mesh without area is a failure of the set's."""
    try:
        return oriented(sample, seed)
    except InputError as error:
        samples.failures.append(Failure(sample.name, f"its mesh: {error}"))
        return None


class _Features:
    """Features of clouds that come one by one, computed in batches of clouds of one size."""

    def __init__(self, wanted: Wanted, start_period: int) -> None:
        self._classifier, self._half, self._period = wanted.classifier, wanted.half, start_period
        self._waiting: list[NDArray[np.float32]] = []
        self._parts: list[CloudFeatures] = []
        self._done = 0

    def add(self, sample: Sample) -> None:
        if self._classifier is None:
            return
        points = sample.cloud.points
        if self._waiting and (len(self._waiting) == BATCH or len(self._waiting[0]) != len(points)):
            self._flush()
        self._waiting.append(points)

    def finish(self) -> CloudFeatures | None:
        """All of them; None where there are none."""
        self._flush()
        return joined(self._parts) if self._parts else None

    def _flush(self) -> None:
        if self._classifier is None or not self._waiting:
            return
        clouds = np.stack(self._waiting)
        starts = (self._done + np.arange(len(clouds), dtype=np.int64)) % self._period
        self._parts.append(embed(self._classifier.network, clouds, starts, half=self._half))
        self._done += len(clouds)
        self._waiting.clear()
