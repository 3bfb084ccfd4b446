"""A user's own files: read one, and name what is made of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.core.files import check_file

if TYPE_CHECKING:
    from enpointe.geometry.mesh import Mesh
    from enpointe.geometry.point_cloud import PointCloud

CLOUD_SUFFIXES = (".ply", ".npz")
MESH_SUFFIXES = (".glb", ".ply", ".obj")


def input_file(text: str, suffixes: tuple[str, ...]) -> Path:
    """The path of an existing file with one of these suffixes; InputError if it is not."""
    path = Path(text)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{text}: expected a file ending in {_listed(suffixes)}")
    if not path.exists():
        raise InputError(f"{text}: expected an existing file, found none")
    if not path.is_file():
        raise InputError(f"{text}: expected a file, found something else")
    return path


def output_file(options: argparse.Namespace, source: Path, ending: str, suffixes: tuple[str, ...]) -> Path:
    """Where to write: --out, or a file beside `source` called `<stem><ending>`. Checked to be writable."""
    path = Path(options.out) if options.out is not None else source.with_name(source.stem + ending)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"argument --out: expected a file ending in {_listed(suffixes)}, got {options.out!r}")
    return check_file(path)


def read_cloud(path: Path) -> PointCloud:
    from enpointe.geometry.point_cloud import PointCloud

    return PointCloud.load(path)


def read_mesh(path: Path) -> Mesh:
    from enpointe.geometry.mesh import Mesh

    return Mesh.load(path)


def has_faces(path: Path) -> bool:
    """Whether a file holds a mesh: by its suffix, or for a PLY by a face element in its header."""
    if path.suffix.lower() != ".ply":
        return path.suffix.lower() != ".npz"
    from enpointe.io.ply import ply_has_faces

    return ply_has_faces(path)


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}" if len(suffixes) > 1 else suffixes[0]
