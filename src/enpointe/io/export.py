"""Clouds, meshes and pictures to files: the suffix names the format.

A file appears whole or not at all. `provenance` (prompt, seed, version ...) is embedded as JSON: in PLY as comment
lines, in GLB as asset.extras.enpointe, in NPZ as the zip's comment, in OBJ as # lines, in PNG as a text chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.core.files import known_suffix, replacing
from enpointe.core.provenance import KEY, to_json, to_lines
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.io import glb, npz, ply

Provenance = Mapping[str, Any] | None


def save_cloud(cloud: PointCloud, path: str | Path, provenance: Provenance = None) -> None:
    """Write .ply (positions and uchar colours, for viewers) or .npz (the release's arrays; every channel, exact).

    InputError for another suffix, OutputError where the file cannot be written.
    """
    write = CLOUD_WRITERS[known_suffix(Path(path), CLOUD_WRITERS)]
    with replacing(path) as file:
        write(file, cloud, provenance)


def save_mesh(mesh: Mesh, path: str | Path, provenance: Provenance = None) -> None:
    """Write .glb, .obj (both y up, as their readers expect) or .ply (z up), each with vertex colours if any.

    InputError for another suffix, OutputError where the file cannot be written.
    """
    write = MESH_WRITERS[known_suffix(Path(path), MESH_WRITERS)]
    with replacing(path) as file:
        write(file, mesh, provenance)


def save_image(image: NDArray[np.uint8], path: str | Path, provenance: Provenance = None) -> None:
    """Write (h, w, 3) or (h, w, 4) uint8 as .png."""
    from PIL import Image, PngImagePlugin

    known_suffix(Path(path), [".png"])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4) or image.size == 0:
        raise InputError(f"image: expected uint8 of shape (h, w, 3 or 4), found {image.dtype} of shape {image.shape}")
    info = PngImagePlugin.PngInfo()
    if provenance:
        info.add_text(KEY, to_json(provenance))
    with replacing(path) as file:
        Image.fromarray(image).save(file, format="PNG", pnginfo=info)


def _cloud_ply(file: BinaryIO, cloud: PointCloud, provenance: Provenance) -> None:
    ply.write(file, cloud.points, cloud.colors, provenance=provenance)


def _cloud_npz(file: BinaryIO, cloud: PointCloud, provenance: Provenance) -> None:
    colors = {name: cloud.colors[:, i] for i, name in enumerate("RGB")}
    npz.write(file, {"coords": cloud.points, **colors, **cloud.channels}, provenance)


def _mesh_ply(file: BinaryIO, mesh: Mesh, provenance: Provenance) -> None:
    ply.write(file, mesh.vertices, mesh.colors, mesh.faces, provenance)


def _mesh_obj(file: BinaryIO, mesh: Mesh, provenance: Provenance) -> None:
    """Colours follow the position on its line, as most readers understand."""
    columns = glb.y_up(mesh.vertices) if mesh.colors is None else np.hstack([glb.y_up(mesh.vertices), mesh.colors])
    lines = [f"# {line}" for line in to_lines(provenance)] if provenance else []
    lines += ["v " + " ".join(f"{value:.7g}" for value in row) for row in columns.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
    file.write("\n".join([*lines, ""]).encode("ascii"))


CLOUD_WRITERS = {".npz": _cloud_npz, ".ply": _cloud_ply}
MESH_WRITERS = {".glb": glb.write, ".obj": _mesh_obj, ".ply": _mesh_ply}
