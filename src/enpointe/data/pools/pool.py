"""A pool: many objects sampled ahead into one file, painted and captioned anew at every draw.

What is costly (assembling an object, sampling its visible surface, computing signed distances) is done
once; what makes examples different (colors, captions, which points) is cheap and done when drawn.
Scenes of several objects can be among them, and real models, which have no signed distances.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from enpointe.core.errors import InputError
from enpointe.core.files import replacing_name
from enpointe.core.progress import Progress, ProgressCallback, no_progress
from enpointe.data.assets import Asset
from enpointe.data.example import Example
from enpointe.data.pools import appearances
from enpointe.data.pools.appearances import Appearance
from enpointe.data.pools.models import RealModel, noun_weights
from enpointe.data.pools.rows import SCALE, Row, model_row, procedural_row, scene_row
from enpointe.data.procedural.families import CYCLE, FAMILIES
from enpointe.data.procedural.scenes import Scene

_HEADER = "enpointe-pool"
VERSION = 3
"""Of the file. Other versions are refused: in the first, real models had materials in place of swatches; the second
had no scenes."""
_ARRAYS = ("points", "slot", "queries", "sdf")
_DTYPES = {"I16": np.int16, "U8": np.uint8, "F16": np.float16}
_MODEL, _SCENE = "model", "scene"
"""The family of a real model or a scene is this, a slash and its number."""


@dataclass(frozen=True)
class Pool:
    """Sampled objects.

    Attributes:
        points: (n, P, 3) int16. Each object's points are in random order.
        slot: (n, P) uint8, the paint slot of its family or scene, or the swatch of its model, of each point.
        queries, sdf: (n, Q, 3) int16 and (n, Q) float16: signed distances, negative inside; NaN if not known.
        family: the family of each object, or "model/I" for the I-th of `models`, "scene/I" for that of `scenes`.
        words: adjectives and phrases of each object; none of models and scenes.
        models: the real models.
        scenes: those of several objects.
    """

    points: NDArray[np.int16]
    slot: NDArray[np.uint8]
    queries: NDArray[np.int16]
    sdf: NDArray[np.float16]
    family: list[str]
    words: list[tuple[list[str], list[str]]]
    models: tuple[RealModel, ...] = ()
    scenes: tuple[Scene, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def draw(self, index: int, n_points: int, rng: np.random.Generator) -> Example:
        """Object `index`, freshly painted and captioned, as `n_points` of its points (repeated if it has fewer)."""
        appearance = self.appearance(index, rng)
        points, colors = self.painted(index, appearance, n_points, rng)
        return Example(self.key(index), points, colors, (appearance.caption(rng),))

    def key(self, index: int) -> str:
        """The real model's key, or of another object its family and place: unique in this pool."""
        model = self.model(index)
        return f"{self.family[index]}/{index}" if model is None else model.key

    def appearance(self, index: int, rng: np.random.Generator) -> Appearance:
        """Fresh paint for object `index`, and the captions that go with it."""
        slot = self.slot[index]
        if (model := self.model(index)) is not None:
            return appearances.of_model(model, rng)
        if (scene := self.scene(index)) is not None:
            return appearances.of_scene(scene, slot, rng)
        return appearances.of_family(FAMILIES[self.family[index]], slot, self.words[index], rng)

    def painted(
        self, index: int, appearance: Appearance, n_points: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`n_points` points of object `index` and their colors in that appearance: (n, 3) each."""
        pick = self._window(n_points, rng)
        return (self.points[index, pick] / SCALE).astype(np.float32), appearance.rgb[self.slot[index, pick]]

    def model(self, index: int) -> RealModel | None:
        """The real model that object `index` is, None if it is none."""
        kind, _, number = self.family[index].partition("/")
        return self.models[int(number)] if kind == _MODEL else None

    def scene(self, index: int) -> Scene | None:
        """The scene that object `index` is, None if it is a single object."""
        kind, _, number = self.family[index].partition("/")
        return self.scenes[int(number)] if kind == _SCENE else None

    def nouns(self, index: int) -> tuple[str, ...]:
        """What object `index` is: a model's nouns, a procedural object's family; a scene is no one thing."""
        model = self.model(index)
        if model is not None:
            return model.nouns
        return (self.family[index],) if self.family[index] in FAMILIES else ()

    def has_distance(self, index: int) -> bool:
        """Whether the signed distances of object `index` are known."""
        return not bool(np.isnan(self.sdf[index]).any())

    def distances(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Queries (Q, 3) and their signed distances (Q,), negative inside.

        Raises:
            InputError: they are not known.
        """
        if not self.has_distance(index):
            raise InputError(f"object {index}: expected signed distances, found a real model, which has none")
        return (self.queries[index] / SCALE).astype(np.float32), self.sdf[index].astype(np.float32)

    def stored_points(self, index: int) -> NDArray[np.float32]:
        """All points of object `index`, (P, 3) in the unit frame."""
        return (self.points[index] / SCALE).astype(np.float32)

    def split(self, held_out: float = 0.03) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices for training and for validation: the last procedural objects are held out, the last scenes, and
        a tenth of the real models, the same ones in every pool."""
        models = [self.model(i) for i in range(len(self))]
        kept = [i for i, model in enumerate(models) if model is not None and model.held_out]
        scenes = [i for i in range(len(self)) if self.scene(i) is not None]
        single = [i for i, model in enumerate(models) if model is None and self.scene(i) is None]
        for made in (single, scenes):
            kept += made[len(made) - max(1, int(len(made) * held_out)) :] if made else []
        validation = np.array(sorted(kept), dtype=np.int64)
        return np.setdiff1d(np.arange(len(self)), validation), validation

    def weights(self, real: float | None = None) -> NDArray[np.float64]:
        """How often to draw each object, (n,), in proportion: real models by `noun_weights`, the others alike.

        Args:
            real: share of draws that are real models, where there are any; None: as many as there are.

        Raises:
            InputError: the share is not above 0 and below 1.
        """
        if real is not None and not 0 < real < 1:
            raise InputError(f"share of real models: expected more than 0 and less than 1, found {real}")
        weights = np.ones(len(self))
        chosen = np.array([self.model(i) is not None for i in range(len(self))])
        if chosen.any():
            # In the order of their rows, which need not be that of `models`.
            weights[chosen] = noun_weights([model for i in range(len(self)) if (model := self.model(i)) is not None])
            if real is not None and not chosen.all():
                weights[chosen] *= real / (1 - real) * (~chosen).sum() / chosen.sum()
        return weights

    def _window(self, n_points: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which points to take. They lie in random order, so that any window of them is a fair subset."""
        stored = self.points.shape[1]
        return (int(rng.integers(stored)) + np.arange(n_points)) % stored


def build(
    path: Path,
    *,
    n_clouds: int,
    n_points: int = 4096,
    n_queries: int = 1024,
    workers: int | None = None,
    seed: int = 0,
    n_scenes: int = 0,
    models: Sequence[Asset] = (),
    progress: ProgressCallback = no_progress,
) -> list[str]:
    """Sample `n_clouds` objects, the families in turn (rare ones every third time), `n_scenes` scenes and `models`
    into a file.

    The same arguments give the same bytes, whatever the number of workers. The procedural objects are the
    same with and without scenes and models, and so are these.

    Args:
        progress: called after each object, with how many are done.

    Returns:
        The models that were left out, since they cannot be read, are flat or come twice: "KEY: why" of each.

    Raises:
        InputError: `n_clouds` is not positive, or `n_scenes` negative.
        OutputError: the file cannot be written.
    """
    if n_clouds < 1:
        raise InputError(f"n_clouds: expected at least one procedural cloud, found {n_clouds}")
    if n_scenes < 0:
        raise InputError(f"n_scenes: expected no negative number, found {n_scenes}")
    jobs = [(CYCLE[i % len(CYCLE)], i, n_points, n_queries, seed) for i in range(n_clouds)]
    model_jobs = [(asset, n_clouds + i, n_points, n_queries, seed) for i, asset in enumerate(models)]
    scene_jobs = [(i, n_points, n_queries, seed) for i in range(n_scenes)]
    size = n_clouds + n_scenes + len(models)
    arrays: dict[str, NDArray[Any]] = {
        "points": np.empty((size, n_points, 3), np.int16),
        "slot": np.empty((size, n_points), np.uint8),
        "queries": np.empty((size, n_queries, 3), np.int16),
        "sdf": np.empty((size, n_queries), np.float16),
    }
    header: dict[str, Any] = {"version": VERSION, "seed": seed, "family": [], "words": [], "scenes": [], "models": []}
    left_out: list[str] = []
    keys: set[str] = set()
    with _executor(workers) as executor:
        procedural = executor.map(procedural_row, jobs, chunksize=16)
        scenes = executor.map(scene_row, scene_jobs, chunksize=16)
        real = executor.map(model_row, model_jobs, chunksize=4)
        for done, row in enumerate(itertools.chain(procedural, scenes, real), start=1):
            if isinstance(row, Row) and row.model is not None and row.model.key in keys:
                row = f"{row.model.key}: expected models with keys of their own, found it twice"
            if isinstance(row, str):
                left_out.append(row)
            else:
                keys.update([row.model.key] if row.model is not None else [])
                _add(row, arrays, header)
            progress(Progress("clouds", done, size))
    _write(path, {name: array[: len(header["family"])] for name, array in arrays.items()}, header)
    return left_out


@contextmanager
def _executor(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """Processes that leave alone what they have not begun once the block ends, also by Ctrl-C."""
    executor = ProcessPoolExecutor(workers or os.cpu_count())
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _add(row: Row, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
    """Into the first place that is not taken."""
    place = len(header["family"])
    for name, array in arrays.items():
        array[place] = getattr(row, name)
    header["words"].append(row.words)
    family = row.family
    for kind, what in ((_SCENE, row.scene), (_MODEL, row.model)):
        if what is not None:
            family = f"{kind}/{len(header[f'{kind}s'])}"
            header[f"{kind}s"].append(what.header())
    header["family"].append(family)


def _write(path: Path, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
    with replacing_name(path, what="a pool", errors=(SafetensorError,)) as temporary:
        save_file(arrays, str(temporary), metadata={_HEADER: json.dumps(header)})


def read(path: Path) -> Pool:
    """Read a pool file. Its arrays stay in the file until they are looked at, shared by all processes that read it.

    Raises:
        InputError: the file is absent, damaged, of another version, or made by other families than these.
    """
    try:
        with safe_open(str(path), "numpy") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            version = header.get("version", 1)
            if version != VERSION:
                raise InputError(
                    f"{path}: expected a pool of version {VERSION}, found version {version}; build it anew"
                )
        arrays = _mapped(path)
        words = [(list(a), list(p)) for a, p in header["words"]]
        models = tuple(map(RealModel.of_header, header["models"]))
        scenes = tuple(map(Scene.of_header, header["scenes"]))
        pool = Pool(**arrays, family=list(header["family"]), words=words, models=models, scenes=scenes)
        _check(pool)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: expected a pool made by 'enpointe data build', found {error!r}") from error
    return pool


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file that is known to be one, read-only."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        described = json.loads(file.read(length))
    arrays: dict[str, NDArray[Any]] = {}
    for name in _ARRAYS:
        one = described[name]
        dtype, offset = _DTYPES[one["dtype"]], 8 + length + one["data_offsets"][0]
        arrays[name] = np.memmap(path, dtype, "r", offset, tuple(one["shape"])).view(np.ndarray)
    return arrays


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
    slots = {name: len(family.slots) for name, family in FAMILIES.items()}
    slots |= {f"{_MODEL}/{i}": len(model.colors) for i, model in enumerate(pool.models)}
    slots |= {f"{_SCENE}/{i}": len(scene.slots) for i, scene in enumerate(pool.scenes)}
    unknown = set(pool.family) - set(slots)
    if unknown:
        raise ValueError(f"unknown families {sorted(unknown)}")
    if (pool.slot.max(axis=1) >= np.array([slots[name] for name in pool.family])).any():
        raise ValueError("points of paint slots that their family does not have")
