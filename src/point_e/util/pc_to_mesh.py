"""A cloud becomes a mesh as in the release: a dense grid of signed distances, marching cubes, nearest colours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from enpointe.meshing.open_surface import open_surface
from enpointe.meshing.sparse_grid import Method, sample_grid
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
        grid_size: samples along each side of the box, 8 to 1,024.
        side_length: of the box, which is centred at the origin.
        fill_vertex_channels: give each vertex the nearest point's channels.
        method: an extra: "sparse" asks only where the surface may pass, many times fewer queries; "interpolated"
            fewer still, for nearly the same surface; see `enpointe.meshing.sparse_grid.sample_grid`.
    """
    with torch.no_grad():
        points = torch.from_numpy(np.array(pc.coords.T, dtype=np.float32))
        encoded = model.encode_point_clouds(points[None].to(model.device))
    total = math.ceil(grid_size**3 / batch_size) if method == "dense" else None

    with tqdm(total=total, disable=not progress) as bar:

        def field(queries: NDArray[np.float32]) -> NDArray[Any]:
            values = []
            for part in torch.from_numpy(np.ascontiguousarray(queries.T)).split(batch_size, dim=1):
                with torch.no_grad():
                    values.append(model(part[None].to(model.device), encoded=encoded)[0].float().cpu())
                bar.update()
            return torch.cat(values).numpy()

        box = (-side_length / 2, side_length / 2)
        samples = sample_grid(field, grid_size=grid_size, box=box, method=method)
    vertices, faces, normals = open_surface(samples, recenter=True)
    channels = None
    if fill_vertex_channels:
        nearest = pc.nearest_points(vertices)
        channels = {name: values[nearest] for name, values in pc.channels.items()}
    return TriMesh(verts=vertices, faces=faces, normals=normals, vertex_channels=channels)
