"""Marching cubes as the Point-E release does it: whatever scikit-image gives, open where it meets the box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from enpointe.core.errors import MeshError
from enpointe.meshing.sparse_grid import Floats, GridSamples, Indices


class OpenSurface(NamedTuple):
    """vertices (v, 3), faces (f, 3) counter-clockwise seen from outside, normals (v, 3) of unit length."""

    vertices: Floats
    faces: Indices
    normals: Floats


def open_surface(samples: GridSamples, *, recenter: bool = False) -> OpenSurface:
    """Where the sampled field is zero, without the care that `meshing.march` takes: faces without area are left out,
    what reaches the border of the box stays open, and no edge is checked.

    recenter: the release's way with a field of one sign only: its mean is taken off first, and the surface is that
        of what remains.

    MeshError where the values have one sign only, with `recenter` where they are all the same.
    """
    from skimage import measure

    lewiner: Callable[..., Any] = measure.marching_cubes  # not typed
    values = samples.values
    one_sign = bool((values < 0).all() or (values > 0).all())
    if one_sign and recenter:
        values = values - values.mean()
    if not values.min() < 0 < values.max():
        low, high = float(samples.values.min()), float(samples.values.max())
        raise MeshError(f"expected a field with a surface in the box, found one from {low:.3g} to {high:.3g}")
    vertices, faces, normals, _ = lewiner(values, 0.0, allow_degenerate=False, spacing=(samples.voxel,) * 3)
    # Its faces wind outward for objects below the level; ours are above.
    return OpenSurface(vertices + np.float32(samples.low), faces[:, [1, 0, 2]].astype(np.int64), normals)
