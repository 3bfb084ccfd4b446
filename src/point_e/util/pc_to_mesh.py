"""A cloud becomes a mesh as in the release: a dense grid of signed distances, marching cubes, nearest colors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import measure
from tqdm.auto import tqdm

from enpointe.core.errors import InputError, MeshError
from enpointe.meshing.lattice import Sampler
from enpointe.meshing.sparse_grid import GridSamples, Method, sample_grid
from point_e.models.sdf import PointCloudSDFModel

from .mesh import TriMesh
from .point_cloud import PointCloud


def marching_cubes_mesh(
    pc: PointCloud,
    model: PointCloudSDFModel,
    batch_size: int = 4096,
    grid_size: int = 128,
    side_length: float = 1.02,
    fill_vertex_channels: bool = True,
    progress: bool = False,
    method: Method = "dense",
) -> TriMesh:
    """The surface of the signed distances that `model` predicts for a cloud.

    Args:
        batch_size: queries at a time.
        grid_size: samples along each side of the box, at least 2; with another method than "dense" 8 to 1,024.
        side_length: of the box, which is centered at the origin.
        fill_vertex_channels: give each vertex the nearest point's channels.
        method: an extra: "sparse" asks only where the surface may pass, many times fewer queries; "interpolated"
            fewer still, for nearly the same surface; see `enpointe.meshing.sparse_grid.sample_grid`.

    Raises:
        InputError: another grid_size.
        MeshError: the field is the same everywhere, or not finite.
    """
    if grid_size < 2:
        raise InputError(f"grid_size: expected at least 2, found {grid_size}")
    with torch.no_grad():
        points = torch.from_numpy(np.array(pc.coords.T, dtype=np.float32))
        encoded = model.encode_point_clouds(points[None].to(model.device))
    total = math.ceil(grid_size**3 / batch_size) if method == "dense" else None
    low, high = -side_length / 2, side_length / 2

    with tqdm(total=total, disable=not progress) as bar:

        def field(queries: NDArray[np.float32]) -> NDArray[Any]:
            values = []
            for part in torch.from_numpy(np.ascontiguousarray(queries.T)).split(batch_size, dim=1):
                with torch.no_grad():
                    values.append(model(part[None].to(model.device), encoded=encoded)[0].float().cpu())
                bar.update()
            return torch.cat(values).numpy()

        if method == "dense":
            sampler = Sampler(field, grid_size, low, high)
            samples = GridSamples(sampler.everywhere(), sampler.low, sampler.voxel, sampler.n_queries)
        else:
            samples = sample_grid(field, grid_size=grid_size, box=(low, high), method=method)
    verts, faces, normals = _surface(samples)
    channels = _nearest_vertex_channels(pc, verts) if fill_vertex_channels else None
    return TriMesh(verts=verts, faces=faces, normals=normals, vertex_channels=channels)


def _surface(samples: GridSamples) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Vertices (v, 3), faces (f, 3) counter-clockwise seen from outside, and normals (v, 3), where the field is zero.

    Whatever scikit-image gives, open where it meets the box. Of a field of one sign the mean is taken off first.
    """
    values = samples.values
    if (values < 0).all() or (values > 0).all():
        values = values - values.mean()
    if not values.min() < 0 < values.max():
        low, high = samples.values.min(), samples.values.max()
        raise MeshError(f"expected a field with a surface in the box, found one from {low:.3g} to {high:.3g}")
    lewiner: Callable[..., Any] = measure.marching_cubes  # not typed
    vertices, faces, normals, _ = lewiner(values, 0.0, allow_degenerate=False, spacing=(samples.voxel,) * 3)
    # Its faces wind outward for objects below the level; these are above.
    return vertices + np.float32(samples.low), faces[:, [1, 0, 2]].astype(np.int64), normals


def _nearest_vertex_channels(pc: PointCloud, verts: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The channels of each vertex's nearest point."""
    nearest = pc.nearest_points(verts)
    return {name: values[nearest] for name, values in pc.channels.items()}
