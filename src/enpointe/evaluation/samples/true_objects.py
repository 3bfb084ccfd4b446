"""True clouds of what prompts ask for: fresh objects of the procedural families, which no training saw."""

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
from enpointe.evaluation.prompts import Words, understood
from enpointe.evaluation.samples.sample import Sample, SampleSet
from enpointe.geometry.point_cloud import PointCloud

POINTS = 4096
_APART = 0x5EED
"""Keeps these objects' random numbers apart from those of every pool and shard."""


class TrueObjects(SampleSet):
    """`n` objects, those that the prompts ask for in turn, every time anew; the same seed gives the same objects.

    What a prompt leaves open (proportions, other colours, and its own colour where it names none) is drawn as for
    training. Prompts that ask for nothing that a family can show are left out, and noted.

    Raises:
        InputError: none of the prompts asks for such a thing, or n is below 1.
    """

    def __init__(self, prompts: Sequence[str], n: int, *, n_points: int = POINTS, seed: int = 0) -> None:
        super().__init__("fresh procedural objects", "procedural", None)
        said = [(text, understood(text)) for text in dict.fromkeys(prompts)]
        self._wanted: list[tuple[str, Words]] = [(text, words) for text, words in said if words is not None]
        if n < 1 or not self._wanted:
            raise InputError(
                f"fresh objects: expected at least one, and prompts such as 'a red car'; found {n} and {len(said)} "
                "prompts of which none asks plainly for a thing that the families can show"
            )
        if len(self._wanted) < len(said):
            self.notes.append(f"{len(said) - len(self._wanted)} of {len(said)} prompts have no true objects")
        self._n, self._n_points, self._seed = n, n_points, seed

    def _size(self) -> int:
        return self._n

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for i in range(self._n):
            text, words = self._wanted[i % len(self._wanted)]
            name = f"{i:06d} {text}"
            if only is None or name in only:
                # By its text and not its place, so that a prompt has the same true clouds whatever the others are.
                turn = [zlib.crc32(text.encode()), i // len(self._wanted)]
                rng = np.random.default_rng([self._seed, _APART, *turn])
                cloud, normals = true_object(words, self._n_points, rng)
                yield Sample(name, cloud, text, normals=normals)


def true_object(words: Words, n_points: int, rng: np.random.Generator) -> tuple[PointCloud, NDArray[np.float32]]:
    """An object of the noun's family in the asked colour, in the unit frame; its unit normals (n_points, 3)."""
    family = FAMILIES[words.noun]
    assembly, paint = family.assemble(rng), draw_paint(family, rng)
    if words.colour is not None:
        paint[family.slots[0].name] = words.colour
    shades = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
    surface = sample_surface(assembly, n_points, rng)
    worn = [assembly.parts[part].slot for part in surface.part]
    colors: NDArray[np.float32] = np.array([shades[slot] for slot in worn], dtype=np.float32)
    return PointCloud(surface.points.astype(np.float32), colors), surface.normals.astype(np.float32)
