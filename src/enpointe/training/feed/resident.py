"""All examples in the training device's memory: a pool's points, and of each object some appearances drawn ahead.

What is costly in drawing an example, its paint and words and the features of these, is done once for each appearance.
A batch is then a few gathers on the device, of objects, appearances and points that a generator chooses there.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.data.datasets import Dataset, Mixture, PoolDataset
from enpointe.data.pools.pool import Pool
from enpointe.data.pools.rows import SCALE
from enpointe.encoders.minilm import WIDTH
from enpointe.training.clouds import CloudTask
from enpointe.training.feed.text import encoded
from enpointe.training.seeds import FEED, share, torch_generator
from enpointe.training.settings import Phase
from enpointe.training.task import Batch, Task

CHUNK = 64
"""Objects whose appearances are drawn in one piece of work."""


class ResidentFeed:
    """See this module. Objects are drawn by their weights, independently of each other, and have no epochs.

    Args:
        task: what learns; one of clouds and captions, of pools.
        appearances: of each object.
        seed: of the appearances and of every draw.
        rank, ranks: which of the processes that train together this one is.
        device: of training; everything goes into its memory.
        dtype: to encode text in.
        workers: processes that draw the appearances; 0: this one does.
        progress: called as appearances are drawn and captions encoded.

    Raises:
        InputError: another task, or shards.
    """

    def __init__(
        self, task: Task[Any], *, appearances: int, seed: int, device: torch.device, dtype: torch.dtype, rank: int = 0,
        ranks: int = 1, workers: int = 0, progress: ProgressCallback = no_progress,
    ) -> None:  # fmt: skip
        if not isinstance(task, CloudTask):
            raise InputError(f"resident feed: expected a task of clouds and captions, found {type(task).__name__}")
        parts = list(_pools(task.data.split(held_out=False)))
        self._seed, self._rank, self._ranks, self._appearances = seed, rank, ranks, appearances
        self._device = device
        drawn = _drawn([part for part, _ in parts], appearances, seed, workers, progress)
        self._points, self._slot = _joined([part for part, _ in parts], device)
        chance = np.concatenate([_chances(part) * weight for part, weight in parts])
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._ends = torch.from_numpy(np.cumsum(chance) / chance.sum()).to(device, exact)
        self._palette = torch.from_numpy(np.concatenate([one.palette for one in drawn])).to(device)
        sizes = np.concatenate([one.sizes for one in drawn])
        self._first = torch.from_numpy(np.cumsum(sizes) - sizes).to(device)
        captions = [caption for one in drawn for caption in one.captions]
        self._text = ResidentText(captions, task.text_tokens, device, dtype, progress) if task.text_tokens else None

    def batch(self, step: int, phase: Phase[Any]) -> Batch:
        """Points (n, P, 3) and colors (n, P, 3), text (n, L, 384) if the task reads any."""
        n, n_points = share(phase.batch, self._rank, self._ranks), phase.examples.n_points
        generator = torch_generator(self._device, self._seed, step, self._rank, use=FEED)
        draw = torch.rand(3, n, generator=generator, device=self._device, dtype=self._ends.dtype)
        which = torch.searchsorted(self._ends, draw[0], right=True).clamp_max(len(self._ends) - 1)
        row = which * self._appearances + (draw[1] * self._appearances).long()
        stored = self._points.shape[1]
        start = (draw[2] * stored).long()
        pick = (start[:, None] + torch.arange(n_points, device=self._device)) % stored
        slot = self._slot[which[:, None], pick].long()
        batch = {
            "points": self._points[which[:, None], pick].float() / SCALE,
            "colors": self._palette[self._first[row][:, None] + slot].float(),
        }
        return {**batch, "text": self._text(row)} if self._text is not None else batch

    def state_dict(self) -> dict[str, Any]:
        """Nothing: what a step sees is a function of its number."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Accepts its own; InputError for a streaming feed's."""
        if state:
            raise InputError("expected the state of a feed from memory, found a stream's")

    def close(self) -> None:
        """It has no processes."""


class ResidentText:
    """The features of captions on a device, each different caption encoded once, without padding."""

    def __init__(
        self, captions: Sequence[str], n_tokens: int, device: torch.device, dtype: torch.dtype,
        progress: ProgressCallback = no_progress,
    ) -> None:  # fmt: skip
        different, which = np.unique(np.array(captions), return_inverse=True)
        length = np.zeros(len(different), np.int64)
        place = {str(caption): number for number, caption in enumerate(different)}
        order, parts, done = list[int](), list[Tensor](), 0
        for together, features in encoded(list(place), device, n_tokens, dtype):
            done += len(together)
            progress(Progress("captions", done, len(place)))
            kept = features.any(2)  # of an empty caption nothing
            for caption, known in zip(together, kept.sum(1).tolist(), strict=True):
                order.append(place[caption])
                length[place[caption]] = known
            parts.append(features[kept])
        self._table = torch.cat([*parts, torch.zeros(1, WIDTH, dtype=torch.float16, device=device)])
        first = np.zeros(len(different), np.int64)
        first[order] = np.cumsum(length[order]) - length[order]
        self._first, self._length, self._which = (
            torch.from_numpy(array).to(device) for array in (first, length, which.astype(np.int64))
        )
        self._place = torch.arange(n_tokens, device=device)

    def __call__(self, rows: Tensor) -> Tensor:
        """Places in the captions (n,) -> their features (n, n_tokens, 384) float32."""
        which = self._which[rows]
        given = self._place < self._length[which][:, None]
        return self._table[torch.where(given, self._first[which][:, None] + self._place, len(self._table) - 1)].float()


def _pools(data: Dataset, weight: float = 1.0) -> Iterator[tuple[PoolDataset, float]]:
    """The pools of a mixture, and how often each one's examples come, in proportion."""
    if isinstance(data, Mixture):
        total = sum(each for _, each in data.parts)
        for part, each in data.parts:
            yield from _pools(part, weight * each / total)
    elif isinstance(data, PoolDataset):
        yield data, weight
    else:
        raise InputError("resident feed: expected pools, found shards, which can be streamed only")


def _chances(part: PoolDataset) -> NDArray[np.float64]:
    """Of each object of the part; together 1."""
    weights = np.ones(len(part)) if part.weights is None else part.weights[part.objects]
    return weights / weights.sum()


def _joined(parts: Sequence[PoolDataset], device: torch.device) -> tuple[Tensor, Tensor]:
    """Points (n, P, 3) and slots (n, P) of all parts' objects; smaller clouds are repeated up to P."""
    size = max(part.pool.points.shape[1] for part in parts)
    points, slot = list[Tensor](), list[Tensor]()
    for part in parts:
        pick = np.resize(np.arange(part.pool.points.shape[1]), size)
        points.append(torch.from_numpy(part.pool.points[part.objects][:, pick]).to(device))
        slot.append(torch.from_numpy(part.pool.slot[part.objects][:, pick]).to(device))
    return torch.cat(points), torch.cat(slot)


@dataclass(frozen=True)
class Appearances:
    """Some appearances of each of n objects, in their order.

    Attributes:
        palette: (colors, 3) float16 in [0, 1], one appearance's after the other's.
        sizes: (n * appearances,) colors of each.
        captions: one of each.
    """

    palette: NDArray[np.float16]
    sizes: NDArray[np.int64]
    captions: list[str]


def draw_appearances(pool: Pool, objects: Sequence[int], n: int, seed: int) -> Appearances:
    """`n` of each of a pool's objects."""
    palette, captions = list[NDArray[np.float32]](), list[str]()
    for index in objects:
        rng = np.random.default_rng((seed, index, FEED))
        for _ in range(n):
            appearance = pool.appearance(index, rng)
            palette.append(appearance.rgb)
            captions.append(appearance.caption(rng))
    sizes = np.array([len(colors) for colors in palette], np.int64)
    return Appearances(np.concatenate(palette).astype(np.float16), sizes, captions)


def _drawn(
    parts: Sequence[PoolDataset], n: int, seed: int, workers: int, progress: ProgressCallback
) -> list[Appearances]:
    jobs = [
        (number, objects.tolist(), n, seed + number)
        for number, part in enumerate(parts)
        for objects in np.array_split(part.objects, -(-len(part) // CHUNK))
    ]
    found, done, total = list[Appearances](), 0, sum(len(part) for part in parts)
    with _drawing(parts, workers) as drawn:
        for one in drawn(jobs):
            found.append(one)
            done += len(one.sizes) // n
            progress(Progress("appearances", done, total))
    return found


_Job = tuple[int, list[int], int, int]


@contextlib.contextmanager
def _drawing(parts: Sequence[PoolDataset], workers: int) -> Iterator[Callable[[Sequence[_Job]], Iterator[Appearances]]]:
    """What does such jobs in their order, in this process or in others."""
    if not workers:
        yield lambda jobs: (draw_appearances(parts[job[0]].pool, *job[1:]) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(parts,)) as executor:
        yield lambda jobs: executor.map(_draw, jobs)


_PARTS: Sequence[PoolDataset]
"""In a worker."""


def _begin(parts: Sequence[PoolDataset]) -> None:
    global _PARTS
    _PARTS = parts


def _draw(job: _Job) -> Appearances:
    number, objects, n, seed = job
    return draw_appearances(_PARTS[number].pool, objects, n, seed)
