"""New objects of the procedural families, of the things in prompts; no training saw them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.captions import draw_paint
from enpointe.data.procedural.colors import shade
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.evaluation.prompts import Subject, subject_of
from enpointe.evaluation.samples.sample import Sample, SampleSet
from enpointe.geometry.point_cloud import PointCloud

POINTS = 4096
_APART = 0x5EED
"""Keeps these objects' random numbers apart from those of every pool and shard."""


class ProceduralSamples(SampleSet):
    """`n` objects of the prompts in turn, each another one; the same seed gives the same objects.

    What a prompt leaves open (proportions, other colors, and its own color where it names none) is drawn as for
    training. Prompts without a `Subject` are left out, and noted.

    Raises:
        InputError: none of the prompts has one, or n is below 1.
    """

    def __init__(self, prompts: Sequence[str], n: int, *, n_points: int = POINTS, seed: int = 0) -> None:
        super().__init__("new procedural objects", "procedural", None)
        texts = list(dict.fromkeys(prompts))
        found = [(text, subject_of(text)) for text in texts]
        self._wanted: list[tuple[str, Subject]] = [(text, subject) for text, subject in found if subject is not None]
        if n < 1 or not self._wanted:
            raise InputError(
                f"procedural objects: expected at least one, and prompts such as 'a red car'; found {n} and "
                f"{len(texts)} prompts, none of which is plainly a thing of a family"
            )
        if len(self._wanted) < len(texts):
            self.notes.append(f"{len(texts) - len(self._wanted)} of {len(texts)} prompts have no procedural objects")
        self._n, self._n_points, self._seed = n, n_points, seed

    def _size(self) -> int:
        return self._n

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for i in range(self._n):
            text, subject = self._wanted[i % len(self._wanted)]
            name = f"{i:06d} {text}"
            if only is None or name in only:
                # By its text and not its place, so that a prompt has the same objects whatever the others are.
                turn = [zlib.crc32(text.encode()), i // len(self._wanted)]
                rng = np.random.default_rng([self._seed, _APART, *turn])
                cloud, normals = procedural_object(subject, self._n_points, rng)
                yield Sample(name, cloud, text, normals=normals)


def procedural_object(
    subject: Subject, n_points: int, rng: np.random.Generator
) -> tuple[PointCloud, NDArray[np.float32]]:
    """An object of the noun's family in that color, in the unit frame; its unit normals (n_points, 3)."""
    family = FAMILIES[subject.noun]
    assembly, paint = family.assemble(rng), draw_paint(family, rng)
    if subject.color is not None:
        paint[family.slots[0].name] = subject.color
    shades = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
    surface = sample_surface(assembly, n_points, rng)
    slots = [assembly.parts[part].slot for part in surface.part]
    colors: NDArray[np.float32] = np.array([shades[slot] for slot in slots], dtype=np.float32)
    return PointCloud(surface.points.astype(np.float32), colors), surface.normals.astype(np.float32)
