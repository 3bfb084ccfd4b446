"""Sparse against dense grids: how often the field is asked, how long it takes, whether the surface is the same.

On an exact torus, and on the embedded SDF model with clouds of three procedural families.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Report, Row, arguments
from enpointe.datagen.procedural.families import FAMILIES
from enpointe.datagen.procedural.sampling import sample_surface
from enpointe.errors import MeshError
from enpointe.models.embedded import embedded_path, read_network
from enpointe.nn.sight import SightSDF
from enpointe.pipeline.device import keep_freed_memory
from enpointe.pipeline.field import sdf_field
from enpointe.pipeline.meshing import march
from enpointe.pipeline.sparse_grid import Field, sample_grid

SUBJECTS = ("chair", "dog", "car")


def torus(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed distance, positive inside, to a ring of radius 0.32 and tube 0.12 around z."""
    ring = np.hypot(points[:, 0], points[:, 1]) - 0.32
    return (0.12 - np.hypot(ring, points[:, 2])).astype(np.float32)


def compare(name: str, field: Field, grid_size: int) -> Row:
    """Both ways over one field."""
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
    network, _ = read_network(path, "sight_sdf")
    assert isinstance(network, SightSDF)
    fields = {}
    for name in SUBJECTS:
        rng = np.random.default_rng(0)
        surface = sample_surface(FAMILIES[name].recipe(rng), n_points, rng)
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
    report.table("exact torus", [compare("torus", torus, size) for size in grids])
    path = options.weights or embedded_path("sdf")
    if path.is_file():
        fields = network_fields(path, 256 if options.quick else 4096)
        rows = [compare(name, field, size) for name, field in fields.items() for size in grids]
        report.table("SDF network", rows)
    else:
        report.note("SDF network", "no weights of sdf in the package")
    report.save()


if __name__ == "__main__":
    main()
