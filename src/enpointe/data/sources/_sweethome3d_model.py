"""Models of Sweet Home 3D's libraries, turned and scaled as their catalog describes."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from enpointe.io.assets.files import ZipFiles, kept_library
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Model
from enpointe.io.formats import read_model


def load_entry(
    library: Path,
    entry: str,
    rotation: tuple[float, ...] | None,
    size: tuple[float, ...] | None,
    limits: AssetLimits,
) -> Model:
    """The model `entry` of a library, placed as `place` does.

    Raises:
        InputError: it is damaged, or beyond the limits.
    """
    files = ZipFiles(kept_library(library), posixpath.dirname(entry), limits)
    model = read_model(files.get(posixpath.basename(entry)), ".obj", files, limits=limits)
    return replace(model, triangles=place(model.triangles, rotation, size))


def place(
    triangles: NDArray[np.float64], rotation: tuple[float, ...] | None, size: tuple[float, ...] | None
) -> NDArray[np.float64]:
    """Turn and stretch triangles (f, 3, 3), z up, as the catalog describes.

    `rotation` holds the nine numbers of a matrix, row by row, in the file's y-up axes; `size` is width,
    depth and height of the turned model.
    """
    if rotation is not None:
        z_up_from_y_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        matrix = z_up_from_y_up @ np.array(rotation).reshape(3, 3) @ z_up_from_y_up.T
        triangles = triangles @ matrix.T
    if size is not None and min(size) > 0:
        extent = triangles.max(axis=(0, 1)) - triangles.min(axis=(0, 1))
        triangles = triangles * np.where(extent > 0, np.array(size) / np.maximum(extent, 1e-12), 1)
    return triangles
