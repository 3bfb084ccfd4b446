"""A triangle mesh with vertex colors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Floats, Indices, extent, numeric, triples, unit_colors


@dataclass(frozen=True, eq=False, init=False)
class Mesh:
    """Triangles over shared vertices.

    vertices: (v, 3) float32, finite; in the unit frame (z up) unless said otherwise.
    faces: (f, 3) int64 into vertices, f >= 1, counter-clockwise seen from outside.
    colors: (v, 3) float32 sRGB in [0, 1], or None.
    It is made of whatever becomes such arrays; all else raises InputError.
    """

    vertices: Float32[Floats, "v 3"]
    faces: Int64[Indices, "f 3"]
    colors: Float32[Floats, "v 3"] | None

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, colors: ArrayLike | None = None) -> None:
        corners = triples(vertices, "vertices")
        object.__setattr__(self, "vertices", corners)
        object.__setattr__(self, "faces", _checked_faces(faces, len(corners)))
        object.__setattr__(self, "colors", None if colors is None else unit_colors(colors, len(corners)))

    def __repr__(self) -> str:
        colors = "without colors" if self.colors is None else "with colors"
        counts = f"{len(self.vertices):,} vertices, {len(self.faces):,} faces"
        return f"Mesh({counts}, {extent(self.vertices)}, {colors})"

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: not the normals, which are made when they are needed."""
        return {"vertices": self.vertices, "faces": self.faces, "colors": self.colors}

    @classmethod
    def load(cls, path: str | Path) -> Mesh:
        """A mesh from .glb, .gltf, .obj, .ply, .stl, or another format of `io.formats`.

        Polygons become triangles, several bodies one mesh, and vertices that no face uses are left out. Colors of
        vertices, faces, materials and textures become colors of vertices, which are split where these meet; a
        texture or material file that is missing is a LostDataWarning, and one outside the file's folder is missing.
        glTF and OBJ have y up by convention and are turned to z up.

        Raises:
            InputError: there is no such file, it is not sound, or too large.
        """
        from enpointe.io.formats import load_mesh

        return load_mesh(Path(path))

    def show(self, title: str = "") -> Path | None:
        """Shows the mesh, to turn with the mouse: in a notebook, else in the browser; see `show.show_page`."""
        from enpointe.render import show, viewer

        return show.show_page(viewer.render(None, self, title))

    def _repr_html_(self) -> str:
        from enpointe.render import show, viewer

        return show.notebook_frame(viewer.render(None, self, ""))

    def save(self, path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Writes .glb, .obj (both with y up), .ply, or another format of `io.formats`, with the vertices' colors.

        The file is whole or absent.

        Args:
            provenance: prompt, seed, version, ...: a JSON object for the place that the format has for remarks.

        Raises:
            InputError: the suffix is of no format that meshes are written in.
            OutputError: the file cannot be written.
        """
        from enpointe.io.formats import save_mesh

        save_mesh(self, path, provenance)

    def to_trimesh(self) -> Any:
        """A trimesh.Trimesh of the same vertices, with colors of 8 bits; InputError without that package."""
        from enpointe.io._trimesh import mesh_to_trimesh

        return mesh_to_trimesh(self)

    @classmethod
    def from_trimesh(cls, other: Any) -> Mesh:
        """A trimesh.Trimesh as it stands, or the bodies of a Scene of them; see `load` for their colors.

        Raises:
            InputError: it is something else, or without faces.
        """
        from enpointe.io._trimesh import mesh_from_trimesh

        return mesh_from_trimesh(other)

    @property
    def face_normals(self) -> Float64[NDArray[np.float64], "f 3"]:
        """(f, 3) outward normals, as long as twice the face's area."""
        a, b, c = (self.vertices[self.faces[:, i]].astype(np.float64) for i in range(3))
        return np.cross(b - a, c - a)

    @cached_property
    def normals(self) -> Float32[Floats, "v 3"]:
        """(v, 3) unit normals: the area-weighted mean over the faces around a vertex; zero where there are none."""
        around = np.repeat(self.face_normals, 3, axis=0)
        corner = self.faces.ravel()
        total = np.stack([np.bincount(corner, around[:, i], len(self.vertices)) for i in range(3)], axis=1)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return (total / np.where(length > 0, length, 1)).astype(np.float32)

    @cached_property
    def is_watertight(self) -> bool:
        """Whether each edge belongs to just two faces that run along it in opposite directions."""
        start, end = self.faces.ravel(), np.roll(self.faces, -1, axis=1).ravel()
        forth = np.sort(start * len(self.vertices) + end)
        back = np.sort(end * len(self.vertices) + start)
        return bool(np.all(forth[1:] != forth[:-1]) and np.array_equal(forth, back))

    @property
    def volume(self) -> float:
        """Signed volume, positive where faces look outward; meaningful for a watertight mesh only."""
        # Measured from the middle: tetrahedra towards a far origin would cancel with a large rounding error.
        corners = (self.vertices.astype(np.float64) - self.vertices.mean(axis=0, dtype=np.float64))[self.faces]
        return float(np.linalg.det(corners).sum() / 6)

    @property
    def area(self) -> float:
        """Area of all the faces."""
        return float(np.linalg.norm(self.face_normals, axis=1).sum() / 2)


def _checked_faces(faces: Any, n_vertices: int) -> Int64[Indices, "f 3"]:
    array = numeric(faces, "faces")
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iu":
        raise InputError(f"faces: expected integers of shape (f, 3), found {array.dtype} of shape {array.shape}")
    if len(array) == 0:
        raise InputError("faces: expected at least one, found none")
    if array.min() < 0 or array.max() >= n_vertices:
        raise InputError(f"faces: expected indices from 0 to {n_vertices - 1}, found {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int64)
