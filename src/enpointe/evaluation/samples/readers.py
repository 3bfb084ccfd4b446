"""Sets of clouds that are there: a folder of files, the release's NPZ files, shards, pools."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.data.caption_table import CaptionTable, read_captions
from enpointe.data.pools.pool import Pool
from enpointe.data.pools.pool import read as read_pool
from enpointe.data.shards.index import INDEX, read_index, read_shard
from enpointe.data.shards.records import NORMAL_SCALE, Record
from enpointe.data.shards.store import Store
from enpointe.evaluation.measures.mesh_metrics import draw_on_surface
from enpointe.evaluation.samples.npz_stream import CLOUDS, array_infos, npz_paths, stream_clouds
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io import formats
from enpointe.io.assets.builder import GRAY
from enpointe.io.sample_folder import NAMES, STEMS, SampleFolder

SURFACE_POINTS = 4096
"""Points that are spread over a mesh that comes without a cloud."""
AT_ONCE = 64
"""Clouds of an NPZ file that are in memory together."""
CAPTIONS = ("captions.csv", "captions.jsonl")


class FolderSamples(SampleSet):
    """Files of clouds and meshes in a folder and its subfolders.

    A cloud and a mesh of the same name are one sample, as are `cloud.*` and `mesh.*` of a folder such as `generate`
    makes. Prompt and seed come from its meta.json, else from the files themselves, the prompt at last from a table
    captions.csv or captions.jsonl in the folder (see `caption_table`). A mesh without a cloud is sampled.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        super().__init__(folder.name or str(folder), "folder", limit)
        self._folder = folder
        self._units: dict[str, list[Path]] = {}
        known, others = formats.suffixes("read_cloud", "read_model"), 0
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if any(part.startswith(".") for part in inside.parts) or not path.is_file():
                continue
            if path.suffix.lower() not in known:
                others += path.name not in (*CAPTIONS, *NAMES)
                continue
            unit = inside.parent if path.stem in STEMS and inside.parent.parts else inside.with_suffix("")
            self._units.setdefault(unit.as_posix(), []).append(path)
        if not self._units:
            raise InputError(f"{folder}: expected clouds or meshes ({', '.join(known)}), found none")
        if others:
            self.notes.append(f"{self.place}: {others} files of other kinds not looked at")
        tables = [folder / name for name in CAPTIONS if (folder / name).is_file()]
        self._captions = read_captions(tables[0]) if tables else CaptionTable({})

    def _size(self) -> int:
        return len(self._units)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        gray = 0
        for name, paths in self._units.items():
            if only is not None and name not in only:
                continue
            try:
                with warnings.catch_warnings(record=True) as lost:  # thousands of files may lack the same
                    warnings.simplefilter("always", LostDataWarning)
                    sample = self._read(name, paths)
            except (InputError, OSError) as error:
                self.failures.append(Failure(name, self._in_words(error)))
                continue
            gray += any(issubclass(warning.category, LostDataWarning) for warning in lost)
            if self._sound(sample):
                yield sample
        if gray:
            lack = (
                f"{self.place}: {gray} of {len(self._units)} samples have no colors, or lost some, and are gray there"
            )
            warnings.warn(lack, LostDataWarning, stacklevel=2)

    def _read(self, name: str, paths: list[Path]) -> Sample:
        meta = SampleFolder(paths[0].parent).meta() if paths[0].stem in STEMS else {}
        cloud: PointCloud | None = None
        mesh: Mesh | None = None
        known = formats.suffixes("read_cloud", "read_model")
        for path in sorted(paths, key=lambda path: known.index(path.suffix.lower())):
            if not formats.holds_mesh(path):
                cloud = cloud or PointCloud.load(path)
            elif mesh is None:
                mesh = self._mesh(name, path, needed=cloud is None)
            if not meta:
                meta = formats.read_provenance(path) or {}
        if cloud is None:
            assert mesh is not None
            cloud = cloud_of(mesh)
        said = self._captions.find(paths[0].relative_to(self._folder).as_posix()).captions
        prompt, seed, seconds = (meta.get(key) for key in ("prompt", "seed", "seconds"))
        return Sample(
            name,
            cloud,
            prompt if isinstance(prompt, str) else said[0] if said else None,
            seed if isinstance(seed, int) else None,
            mesh,
            {key: value for key, value in seconds.items() if isinstance(value, float)}
            if isinstance(seconds, dict)
            else None,
        )

    def _mesh(self, name: str, path: Path, *, needed: bool) -> Mesh | None:
        """A file's mesh; where it is broken but not needed, the sample is without it, and that is noted."""
        try:
            return Mesh.load(path)
        except InputError as error:
            if needed:
                raise
            self.failures.append(Failure(name, f"its mesh: {self._in_words(error)}"))
            return None

    def _in_words(self, error: Exception) -> str:
        """The message with paths as seen from the folder."""
        return str(error).replace(f"{self._folder}/", "")


class NpzSamples(SampleSet):
    """The release's sample files: `arr_0` (n, points, 3), whatever n, in the memory of `AT_ONCE` clouds."""

    start_period = 64

    def __init__(self, pattern: str, limit: int | None = None) -> None:
        super().__init__(Path(pattern).name, "npz", limit)
        paths, rows = npz_paths(pattern)
        self._pattern, found = pattern, 0
        for path in paths:
            infos = array_infos(path)
            if CLOUDS not in infos:
                names = ", ".join(map(repr, infos)) or "no array"
                raise InputError(f"{path}: expected an array {CLOUDS!r} of clouds (n, points, 3), found {names}")
            found += infos[CLOUDS].shape[0] if infos[CLOUDS].shape else 0
        self._count = found if rows is None else min(found, rows)

    def _size(self) -> int:
        return self._count

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        number = 0
        for batch in stream_clouds(self._pattern, AT_ONCE):
            for points in batch:
                name, number = f"{CLOUDS}[{number}]", number + 1
                if only is not None and name not in only:
                    continue
                try:
                    sample = Sample(name, PointCloud(points, np.full(points.shape, GRAY, np.float32)))
                except InputError as error:
                    self.failures.append(Failure(name, str(error)))
                    continue
                if self._sound(sample):
                    yield sample


class ShardSamples(SampleSet):
    """The records of a set of shards, in their order; a damaged shard is left out in whole, and noted."""

    def __init__(self, place: str, limit: int | None = None) -> None:
        super().__init__(place.rstrip("/").rsplit("/", 1)[-1], "shards", limit)
        self._store = Store(place)
        self._index = read_index(self._store)

    def _size(self) -> int:
        return self._index.records

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        for shard in self._index.shards:
            try:
                records = read_shard(self._store, shard)
            except InputError as error:
                reason = str(error).removeprefix(f"{self._store.place}/{shard.name}: ")
                self.failures.append(Failure(shard.name, f"damaged, with {shard.records} records: {reason}"))
                continue
            for record in records:
                if only is None or record.key in only:
                    caption = record.captions[0] if record.captions else None
                    sample = Sample(record.key, record.cloud(), caption, normals=_normals(record))
                    if self._sound(sample):
                        yield sample


class PoolSamples(SampleSet):
    """The objects of a pool made by `enpointe data build`, each in one fixed paint."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        super().__init__(path.name, "pool", limit)
        self._pool: Pool = read_pool(path)

    def _size(self) -> int:
        return len(self._pool)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        stored = self._pool.points.shape[1]
        for i in range(len(self._pool)):
            name = f"{i:06d}"
            if only is None or name in only:
                drawn = self._pool.draw(i, stored, np.random.default_rng([0, i]))
                sample = Sample(name, PointCloud(drawn.points, drawn.colors), drawn.caption)
                if self._sound(sample):
                    yield sample


def open_samples(place: str, limit: int | None = None) -> SampleSet:
    """The set at a place: a folder of files, a folder or URL of shards, NPZ files (a pattern is welcome), or a pool.

    Args:
        place: as the command line has it.
        limit: only so many, the first ones.

    Raises:
        InputError: there is nothing of the kind.
    """
    path = Path(place)
    if "://" in place:
        return ShardSamples(place, limit)
    if path.is_dir():
        return ShardSamples(place, limit) if (path / INDEX).is_file() else FolderSamples(path, limit)
    if path.suffix.lower() == ".safetensors":
        return PoolSamples(path, limit)
    if re.fullmatch(r".*\.npz(\[:\d+\])?", place, re.IGNORECASE | re.DOTALL):
        return NpzSamples(place, limit)
    what = "found none" if not path.exists() else f"found a file ending in {path.suffix!r}"
    raise InputError(f"{place}: expected a folder, shards, an .npz file of arr_0, or a pool; {what}")


def cloud_of(mesh: Mesh, n: int = SURFACE_POINTS) -> PointCloud:
    """n points spread over a mesh, with its vertices' colors interpolated; gray, with a LostDataWarning, without any.

    Raises:
        InputError: a mesh without area.
    """
    points, face, weights = draw_on_surface(mesh, n)
    if mesh.colors is None:
        warnings.warn("the mesh has no colors, so points on it are gray", LostDataWarning, stacklevel=2)
        return PointCloud(points.astype(np.float32), np.full(points.shape, GRAY, np.float32))
    colors = np.einsum("nk,nkd->nd", weights, mesh.colors[mesh.faces[face]])
    return PointCloud(points.astype(np.float32), colors.astype(np.float32))


def _normals(record: Record) -> NDArray[np.float32] | None:
    """(n, 3) of unit length, or zero where a record has none at a point."""
    if record.normals is None:
        return None
    normals = record.normals.astype(np.float32) / NORMAL_SCALE
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: NDArray[np.float32] = normals / np.maximum(lengths, 1 / NORMAL_SCALE)
    return unit
