"""How true the embedded SDF model's surfaces are, on objects that it has not seen.

    python -m benchmarks.mesh_quality                # writes results/mesh_quality.json
    python -m benchmarks.mesh_quality --noise 0.02   # clouds as rough as that

Fresh procedural objects of every family, whose exact signed distance is known: 4,096 points of each, with noise of
a given standard deviation, become a mesh. Its points are held against the exact surface, its inside against the
exact inside (intersection over union of places in the box), and the pieces that it falls into are counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree

from benchmarks.common import Report, Row, arguments
from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.core.errors import MeshError
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.evaluation.measures.mesh_metrics import component_count
from enpointe.geometry.mesh import Mesh
from enpointe.meshing.field import sdf_field
from enpointe.meshing.marching_cubes import drop_small_pieces, march
from enpointe.meshing.sparse_grid import sample_grid
from enpointe.nn.sight import SightSDF

SEED = 10_000
"""Far from the seeds that pools are made with."""
ASKED = 20_000
"""Places in the box, and points of the mesh."""


def measure(network: SightSDF, family: str, seed: int, noise: float, grid_size: int) -> dict[str, float]:
    """Of one object: mean distances in thousandths of the longest side, IoU, pieces."""
    rng = np.random.default_rng((SEED, seed))
    assembly = FAMILIES[family].assemble(rng)
    surface = sample_surface(assembly, 4096, rng)
    cloud = (surface.points + rng.normal(0, noise, surface.points.shape)).astype(np.float32)
    field = sdf_field(network, cloud, torch.device("cpu"))

    def exact(places: np.ndarray) -> np.ndarray:
        """Negative inside."""
        return np.asarray(assembly.sdf(places * surface.scale + surface.center)) / surface.scale

    mesh = drop_small_pieces(Mesh(*march(sample_grid(field, grid_size=grid_size))))
    vertices = mesh.vertices[rng.integers(0, len(mesh.vertices), ASKED)]
    asked = rng.uniform(-0.5, 0.5, (ASKED, 3)).astype(np.float32)
    found, true = field(asked) > 0, exact(asked) < 0
    return {
        "mesh to surface, 1/1000": 1000 * float(np.abs(exact(vertices)).mean()),
        "surface to mesh, 1/1000": 1000 * float(cKDTree(mesh.vertices).query(surface.points)[0].mean()),
        "IoU": float((found & true).sum() / max(1, (found | true).sum())),
        "pieces": component_count(mesh),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.01], help="standard deviations")
    parser.add_argument("--grid", type=int, default=64, metavar="N", help="samples along a side (default: 64)")
    options = parser.parse_args()
    report = Report("mesh_quality", options)
    network, weights = read_network(embedded_path("sdf"), SightSDF)
    families = list(FAMILIES)[:3] if options.quick else list(FAMILIES)
    report.note("weights", weights.sha256)
    report.table("medians", [medians(network, families, noise, options.grid) for noise in options.noise])
    report.save()


def medians(network: SightSDF, families: Sequence[str], noise: float, grid_size: int) -> Row:
    rows = []
    for seed, family in enumerate(families):
        with contextlib.suppress(MeshError):  # counted below
            rows.append(measure(network, family, seed, noise, grid_size))
    figures = {key: round(float(np.median([row[key] for row in rows])), 3) for key in rows[0]}
    return {"noise": noise, "objects": len(families), "without a surface": len(families) - len(rows), **figures}


if __name__ == "__main__":
    main()
