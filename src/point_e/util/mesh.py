"""The release's triangle mesh: plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError

from .files import File, read_arrays, write_arrays
from .ply_util import write_ply

Channels = dict[str, NDArray[Any]]


@dataclass
class TriMesh:
    """verts (v, 3), faces (f, 3) into them, normals (any, 3) or None, and values (v,) or (f,) by name."""

    verts: NDArray[Any]
    faces: NDArray[Any]
    normals: NDArray[Any] | None = None
    vertex_channels: Channels | None = field(default_factory=dict)
    face_channels: Channels | None = field(default_factory=dict)

    @classmethod
    def load(cls, f: File) -> TriMesh:
        """From an NPZ file, by name or open."""
        arrays = read_arrays(f)
        missing = {"verts", "faces"} - arrays.keys()
        if missing:
            raise InputError(f"{f}: expected arrays verts and faces, found {', '.join(arrays) or 'none'}")
        of_vertices, of_faces = (
            {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
            for start in ("v_", "f_")
        )
        return cls(arrays["verts"], arrays["faces"], arrays.get("normals"), of_vertices, of_faces)

    def save(self, f: File) -> None:
        """To an NPZ file, by name or open."""
        arrays = {"verts": self.verts, "faces": self.faces}
        if self.normals is not None:
            arrays["normals"] = self.normals
        arrays |= {f"v_{name}": values for name, values in (self.vertex_channels or {}).items()}
        arrays |= {f"f_{name}": values for name, values in (self.face_channels or {}).items()}
        write_arrays(f, arrays)

    def has_vertex_colors(self) -> bool:
        """Whether there are R, G and B at the vertices."""
        return self.vertex_channels is not None and all(name in self.vertex_channels for name in "RGB")

    def write_ply(self, raw_f: BinaryIO) -> None:
        """To an open PLY file, with colors if there are any."""
        channels = self.vertex_channels if self.has_vertex_colors() else None
        rgb = None if channels is None else np.stack([channels[name] for name in "RGB"], axis=1)
        write_ply(raw_f, self.verts, rgb, self.faces)
