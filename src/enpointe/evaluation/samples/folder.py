"""Files of clouds and meshes in a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from enpointe.core.errors import InputError
from enpointe.core.warnings import LostDataWarning
from enpointe.data.caption_table import CaptionTable, read_captions
from enpointe.evaluation.measures.mesh_metrics import draw_on_surface
from enpointe.evaluation.samples.sample import Failure, Sample, SampleSet
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io import formats
from enpointe.io.assets.builder import GRAY
from enpointe.io.sample_folder import NAMES, STEMS, SampleFolder

SURFACE_POINTS = 4096
"""Points that are spread over a mesh that comes without a cloud."""
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
            self.notes.append(f"{self.place}: {others} files of other kinds are not read")
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
                self.failures.append(Failure(name, self._message(error)))
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
        captions = self._captions.find(paths[0].relative_to(self._folder).as_posix()).captions
        prompt, seed, seconds = (meta.get(key) for key in ("prompt", "seed", "seconds"))
        return Sample(
            name,
            cloud,
            prompt if isinstance(prompt, str) else captions[0] if captions else None,
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
            self.failures.append(Failure(name, f"its mesh: {self._message(error)}"))
            return None

    def _message(self, error: Exception) -> str:
        """The message with paths as seen from the folder."""
        return str(error).replace(f"{self._folder}/", "")


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
