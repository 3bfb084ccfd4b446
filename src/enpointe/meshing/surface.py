"""A cloud in any frame becomes a mesh in that frame."""

from __future__ import annotations

import numpy as np
import torch

from enpointe.core.progress import Progress, ProgressCallback
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.geometry.subsample import random
from enpointe.meshing.field import SDFNetwork, sdf_field
from enpointe.meshing.marching_cubes import mesh_from_field
from enpointe.meshing.sparse_grid import Method

SDF_POINTS = 4096
"""Of a denser cloud the SDF model sees so many: its cost grows with their square."""


def surface(
    network: SDFNetwork,
    cloud: PointCloud,
    device: torch.device,
    *,
    grid_size: int,
    keep_small_pieces: bool,
    method: Method,
    dtype: torch.dtype | None = None,
    color_neighbors: int = 4,
    report: ProgressCallback,
) -> Mesh:
    """The cloud's surface, colored by its nearest points, faces outward, watertight.

    Args:
        grid_size, keep_small_pieces: as a pipeline's `mesh` takes them.
        method: see `sample_grid`.
        dtype: see `sdf_field`.
        color_neighbors: how many of the cloud's points give a vertex its color.
        report: receives how many queries were answered.

    Raises:
        MeshError: the network sees no closed surface in this cloud.
    """
    unit, frame = cloud.normalized()
    answered = 0

    def tell(n: int) -> None:
        nonlocal answered
        answered += n
        report(Progress("mesh", answered, 0))

    seen = unit.points
    if len(seen) > SDF_POINTS:
        seen = seen[random(seen, SDF_POINTS, generator=np.random.default_rng(0))]
    mesh = mesh_from_field(
        sdf_field(network, seen, device, dtype=dtype, progress=tell),
        unit,
        grid_size=grid_size,
        method=method,
        k=color_neighbors,
        keep_small=keep_small_pieces,
    )
    report(Progress("mesh", max(answered, 1), max(answered, 1)))
    return Mesh(frame.to_world(mesh.vertices), mesh.faces, mesh.colors)
