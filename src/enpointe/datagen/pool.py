"""A pool: many objects sampled ahead into one file, painted and captioned anew at every draw.

What is costly (building a recipe, sampling its visible surface, asking its signed distance) is done
once; what makes examples different (colours, words, which points) is cheap and done when drawn.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from enpointe.datagen.captions import caption, draw_paint
from enpointe.datagen.procedural.colours import shade
from enpointe.datagen.procedural.families import FAMILIES, RARE
from enpointe.datagen.procedural.sampling import sample_surface
from enpointe.errors import InputError, OutputError

_SCALE = 32767 / 0.625
"""Positions are 16-bit; queries may lie a little outside the unit cube."""
_HEADER = "enpointe-pool"


@dataclass(frozen=True)
class Example:
    """One coloured cloud and what is said of it: points (n, 3) in the unit frame, colors (n, 3) in [0, 1]."""

    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    caption: str
    family: str


@dataclass(frozen=True)
class Pool:
    """Sampled objects.

    Attributes:
        points: (n, P, 3) int16. Each object's points are in random order.
        slot: (n, P) uint8, which paint slot of its family a point wears.
        queries, sdf: (n, Q, 3) int16 and (n, Q) float16: signed distances, negative inside.
        family: the family of each object.
        words: adjectives and phrases of each object.
    """

    points: NDArray[np.int16]
    slot: NDArray[np.uint8]
    queries: NDArray[np.int16]
    sdf: NDArray[np.float16]
    family: list[str]
    words: list[tuple[list[str], list[str]]]

    def __len__(self) -> int:
        return len(self.points)

    def draw(self, index: int, n_points: int, rng: np.random.Generator) -> Example:
        """Object `index` in fresh paint and words, as `n_points` of its points (repeated if it has fewer)."""
        family = FAMILIES[self.family[index]]
        paint = draw_paint(family, rng)
        rgb = np.array([shade(paint[slot.name], rng) for slot in family.slots], dtype=np.float32)
        stored = self.points.shape[1]
        # Points lie in random order, so that any window of them is a fair subset.
        pick = (int(rng.integers(stored)) + np.arange(n_points)) % stored
        points = (self.points[index, pick] / _SCALE).astype(np.float32)
        # A part that shows on fewer points than these is not worth a word.
        shown = np.bincount(self.slot[index], minlength=len(family.slots)) > 0.01 * stored
        present = {slot.name for slot, some in zip(family.slots, shown, strict=True) if some}
        text = caption(family, paint, present, *self.words[index], rng)
        return Example(points, rgb[self.slot[index, pick]], text, family.name)

    def distances(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Queries (Q, 3) and their signed distances (Q,), negative inside."""
        return (self.queries[index] / _SCALE).astype(np.float32), self.sdf[index].astype(np.float32)

    def split(self, held_out: float = 0.03) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices for training and for validation; the last objects of the pool are held out."""
        cut = len(self) - max(1, int(len(self) * held_out))
        return np.arange(cut), np.arange(cut, len(self))


def build(
    path: Path,
    *,
    n_clouds: int,
    n_points: int = 4096,
    n_queries: int = 1024,
    workers: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Sample `n_clouds` objects, the families in turn (rare ones every third time), into a file.

    The same arguments give the same bytes, whatever the number of workers.

    Raises:
        OutputError: the file cannot be written.
    """
    names = [name for turn in range(3) for name in FAMILIES if turn == 0 or name not in RARE]
    jobs = [(names[i % len(names)], i, n_points, n_queries, seed) for i in range(n_clouds)]
    points = np.empty((n_clouds, n_points, 3), np.int16)
    slot = np.empty((n_clouds, n_points), np.uint8)
    queries = np.empty((n_clouds, n_queries, 3), np.int16)
    sdf = np.empty((n_clouds, n_queries), np.float16)
    words: list[tuple[list[str], list[str]]] = []
    with ProcessPoolExecutor(workers or os.cpu_count()) as executor:
        for i, made in enumerate(executor.map(_make, jobs, chunksize=16)):
            points[i], slot[i], queries[i], sdf[i], spoken = made
            words.append(spoken)
            if progress is not None:
                progress(i + 1)
    header = {"family": [job[0] for job in jobs], "words": words, "seed": seed}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    arrays: dict[str, NDArray[Any]] = {"points": points, "slot": slot, "queries": queries, "sdf": sdf}
    try:
        save_file(arrays, str(temporary), metadata={_HEADER: json.dumps(header)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: expected to write a pool, found {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read(path: Path) -> Pool:
    """Read a pool file into memory.

    Raises:
        InputError: the file is absent, damaged, or made by other families than these.
    """
    try:
        with safe_open(str(path), "numpy") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            arrays = {name: file.get_tensor(name) for name in ("points", "slot", "queries", "sdf")}
        pool = Pool(**arrays, family=list(header["family"]), words=[(list(a), list(p)) for a, p in header["words"]])
        _check(pool)
    except Exception as error:
        raise InputError(f"{path}: expected a pool made by 'enpointe data build', found {error!r}") from error
    return pool


def _check(pool: Pool) -> None:
    """A pool whose arrays do not fit together, or this version's families, fails here and not in the midst of a run."""
    n, n_points = pool.slot.shape
    n_queries = pool.sdf.shape[1]
    found = [(a.shape, a.dtype.name) for a in (pool.points, pool.slot, pool.queries, pool.sdf)]
    shapes = [(n, n_points, 3), (n, n_points), (n, n_queries, 3), (n, n_queries)]
    expected = list(zip(shapes, ("int16", "uint8", "int16", "float16"), strict=True))
    if found != expected:
        raise ValueError(f"arrays {found} in place of {expected}")
    if not (len(pool.family) == len(pool.words) == n > 0 and n_points > 0):
        raise ValueError(f"{len(pool.family)} families and {len(pool.words)} descriptions of {n} clouds of {n_points}")
    unknown = set(pool.family) - set(FAMILIES)
    if unknown:
        raise ValueError(f"unknown families {sorted(unknown)}")
    slots = np.array([len(FAMILIES[name].slots) for name in pool.family])
    if (pool.slot.max(axis=1) >= slots).any():
        raise ValueError("points that wear paint slots which their family does not have")


_Words = tuple[list[str], list[str]]
_Made = tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.int16], NDArray[np.float16], _Words]


def _make(job: tuple[str, int, int, int, int]) -> _Made:
    name, index, n_points, n_queries, seed = job
    rng = np.random.default_rng((seed, index))
    family = FAMILIES[name]
    recipe = family.recipe(rng)
    surface = sample_surface(recipe, n_points, rng)
    slots = [slot.name for slot in family.slots]
    slot_of_part = np.array([slots.index(part.slot) for part in recipe.parts], dtype=np.uint8)
    # Half of the queries close to the surface, where the mesh is decided, half anywhere in the box.
    near = n_queries // 2
    spread = rng.choice([0.01, 0.05], size=(near, 1))
    start = rng.integers(0, n_points, near)
    close = surface.points[start] + surface.normals[start] * rng.normal(0, spread)
    anywhere = rng.uniform(-0.55, 0.55, (n_queries - near, 3))
    queries = np.round(np.concatenate([close, anywhere]).clip(-0.6, 0.6) * _SCALE).astype(np.int16)
    distance = recipe.sdf(queries / _SCALE * surface.scale + surface.centre) / surface.scale
    points = np.round(surface.points * _SCALE).astype(np.int16)
    words = ([a for a in recipe.adjectives if a], [p for p in recipe.phrases if p])
    return points, slot_of_part[surface.part], queries, distance.astype(np.float16), words
