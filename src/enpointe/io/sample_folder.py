"""The folder of a generated sample: its files' names, written whole or not at all, and found again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.files import replacing
from enpointe.core.folders import replacing_folder
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io.png import save_image

VIEWER_CLOUD, CLOUD, MESH = "cloud.ply", "cloud.npz", "mesh.glb"
VIEWS, PAGE, META = "views.png", "view.html", "meta.json"
NAMES = (VIEWER_CLOUD, CLOUD, MESH, VIEWS, PAGE, META)
STEMS = ("cloud", "mesh")
"""Of the files that hold a shape."""
_MAX_META = 1 << 20


@dataclass(frozen=True)
class SampleFolder:
    """The files of one sample: cloud.npz and meta.json, and some of the other NAMES."""

    path: Path

    def write(
        self,
        cloud: PointCloud,
        mesh: Mesh | None,
        meta: Mapping[str, Any],
        *,
        views: NDArray[np.uint8] | None = None,
        page: str | None = None,
    ) -> None:
        """Writes the files into the folder, which is made where there is none; the last is meta.json.

        Args:
            meta: JSON values; they go into each format that can carry them, too.
            views: (h, w, 3) for views.png.
            page: the HTML of view.html. For people, like the views: with either comes cloud.ply.

        Raises:
            OutputError: a file cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if views is not None or page is not None:
            PointCloud(cloud.points, cloud.colors).save(self.path / VIEWER_CLOUD, meta)  # channels: beside it
        cloud.save(self.path / CLOUD, meta)
        if mesh is not None:
            mesh.save(self.path / MESH, meta)
        if views is not None:
            save_image(views, self.path / VIEWS)
        if page is not None:
            _write_text(self.path / PAGE, page)
        _write_text(self.path / META, json.dumps(meta, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    @property
    def is_complete(self) -> bool:
        """Whether the last file is there."""
        return (self.path / META).is_file()

    def meta(self) -> dict[str, Any]:
        """What `write` was given; {} where there is nothing that can be read as such."""
        try:
            with (self.path / META).open("rb") as file:
                found = json.loads(file.read(_MAX_META).decode("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) and "enpointe" in found else {}

    def cloud(self) -> PointCloud:
        """See `PointCloud.load`."""
        return PointCloud.load(self.path / CLOUD)

    def mesh(self) -> Mesh | None:
        """See `Mesh.load`; None where there is none."""
        return Mesh.load(self.path / MESH) if (self.path / MESH).is_file() else None

    def files(self) -> list[Path]:
        """Those of the NAMES that are there; none without a meta.json that is ours."""
        return [self.path / name for name in NAMES if (self.path / name).is_file()] if self.meta() else []


def replacing_samples(target: Path, n_bytes: int = 0) -> AbstractContextManager[Path]:
    """`replacing_folder` for a sample, or several in subfolders named by numbers: files of former samples go."""
    return replacing_folder(target, n_bytes, former=_former_samples)


def _former_samples(target: Path) -> Iterator[Path]:
    numbered = [folder for folder in target.iterdir() if re.fullmatch(r"[0-9]+", folder.name) and folder.is_dir()]
    for folder in (target, *numbered):
        yield from SampleFolder(folder).files()


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
