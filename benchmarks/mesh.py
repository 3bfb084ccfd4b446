"""Sparse and interpolated against dense grids: how often the field is asked, in what time, how near the surface is.

On exact shapes, and on the embedded SDF model with clouds of three procedural families.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.common import Report, Row, arguments
from benchmarks.mesh_speed import SHAPES
from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.core.device import keep_freed_memory
from enpointe.core.errors import MeshError
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.meshing.field import sdf_field
from enpointe.meshing.marching_cubes import march
from enpointe.meshing.sparse_grid import Field, Floats, GridSamples, sample_grid
from enpointe.nn.sight import SightSDF

SUBJECTS = ("chair", "dog", "car")


def thin_board(points: Floats) -> Floats:
    """Signed distance, positive inside, to a board of 0.8 x 0.6 x 0.012, turned: one and a half voxels of 128 thick."""
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    beyond = np.abs(points @ turn) - np.array([0.4, 0.3, 0.006], np.float32)
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    return (-outside - np.minimum(beyond.max(axis=1), 0)).astype(np.float32)


def compare_interpolated(name: str, field: Field, grid_size: int) -> Row:
    """What an interpolated grid asks, and how far its surface is from the sparse one's, both ways, in voxels."""
    sparse, found = (sample_grid(field, grid_size=grid_size, method=method) for method in ("sparse", "interpolated"))
    row: dict[str, Any] = {
        "field": name,
        "grid": grid_size,
        "queries sparse": sparse.n_queries,
        "queries interpolated": found.n_queries,
        "sampled at": len(found.inside),
    }
    nothing = {"other signs": None, "mean offset": None, "99.9 %": None, "largest offset": None}
    if sparse.inside.shape != found.inside.shape:
        return {**row, **nothing}
    try:
        away = offsets(sparse, found)
    except MeshError:  # a part too thin for the grid
        return {**row, **nothing}
    return {
        **row,
        "other signs": int(np.count_nonzero(sparse.inside != found.inside)),
        "mean offset": float(away.mean()),
        "99.9 %": float(np.quantile(away, 0.999)),
        "largest offset": float(away.max()),
    }


def offsets(one: GridSamples, other: GridSamples) -> NDArray[np.float64]:
    """Distances in voxels from each surface's vertices to the other's nearest."""
    a, b = march(one)[0], march(other)[0]
    away: NDArray[np.float64] = np.concatenate([cKDTree(a).query(b)[0], cKDTree(b).query(a)[0]]) / one.voxel
    return away


def compare(name: str, field: Field, grid_size: int) -> Row:
    """Sparse and dense over one field."""
    start = time.perf_counter()
    sparse = sample_grid(field, grid_size=grid_size, method="sparse")
    middle = time.perf_counter()
    dense = sample_grid(field, grid_size=grid_size, method="dense")
    end = time.perf_counter()
    row: dict[str, Any] = {
        "field": name,
        "grid": grid_size,
        "queries sparse": sparse.n_queries,
        "queries dense": dense.n_queries,
        "fewer times": dense.n_queries / sparse.n_queries,
        "sparse s": middle - start,
        "dense s": end - middle,
        "dense / sparse": (end - middle) / (middle - start),
        "sampled at": len(sparse.inside),  # of a field too rough for its grid, fewer samples along an axis
        "other signs": None,
    }
    if sparse.inside.shape != dense.inside.shape:
        return {**row, "vertices": None, "same to the bit": "coarser", "largest offset": None}
    row["other signs"] = int(np.count_nonzero(sparse.inside != dense.inside))
    try:
        (v1, f1), (v2, f2) = march(sparse), march(dense)
    except MeshError as error:
        return {**row, "vertices": None, "same to the bit": str(error), "largest offset": None}
    # A network's answer depends in its last digits on how many points it is asked at once.
    same_faces = np.array_equal(f1, f2)
    offset = float(np.abs(v1 - v2).max()) if v1.shape == v2.shape else None
    return {**row, "vertices": len(v1), "same to the bit": bool(same_faces and offset == 0.0), "largest offset": offset}


def network_fields(path: Path, n_points: int) -> dict[str, Field]:
    """The SDF network's field of a cloud of each of `SUBJECTS`."""
    network, _ = read_network(path, SightSDF)
    fields = {}
    for name in SUBJECTS:
        rng = np.random.default_rng(0)
        surface = sample_surface(FAMILIES[name].assemble(rng), n_points, rng)
        fields[name] = sdf_field(network, surface.points.astype(np.float32), torch.device("cpu"))
    return fields


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--weights", type=Path, help="another SDF weight file than the embedded one, such as a run's best"
    )
    parser.add_argument("--grids", type=int, nargs="+", default=[32, 64, 128])
    options = parser.parse_args()
    report = Report("mesh", options)
    keep_freed_memory()
    grids = [32, 40] if options.quick else options.grids
    exact: dict[str, Field] = {**SHAPES, "thin board": thin_board}
    report.table("exact torus", [compare("torus", SHAPES["torus"], size) for size in grids])
    between = [compare_interpolated(name, field, size) for name, field in exact.items() for size in grids]
    report.table("interpolated, exact shapes", between)
    path = options.weights or embedded_path("sdf")
    if path.is_file():
        fields = network_fields(path, 256 if options.quick else 4096)
        rows = [compare(name, field, size) for name, field in fields.items() for size in grids]
        report.table("SDF network", rows)
        between = [compare_interpolated(name, field, size) for name, field in fields.items() for size in grids]
        report.table("interpolated, SDF network", between)
    else:
        report.note("SDF network", "no weights of sdf in the package")
    report.save()


if __name__ == "__main__":
    main()
