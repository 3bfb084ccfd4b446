"""Seconds of the release's own mesh and of ours; see `speed`.

Queries are counted on fields with a real surface: the field of a network with random weights is noise, on which
nothing is saved. How long a query takes does not depend on the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.plain import QUERIES, ReferenceSDF
from benchmarks.speed import Compared, Job, Side, Turns, network_of
from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.checkpoints.released import RELEASED_SDF
from enpointe.core.errors import InputError
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.procedural.sampling import sample_surface
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.field import sdf_field
from enpointe.meshing.marching_cubes import mesh_from_field
from enpointe.meshing.sparse_grid import Field, Method, sample_grid
from enpointe.nn.sdf import SDFTransformer
from enpointe.nn.sight import SightSDF

Floats = NDArray[np.float32]

CLOUD_POINTS = 4096
"""That the SDF network encodes."""
CHUNK = 16_384
"""Queries that ours asks at a time."""


def query_gflop(queries: int, points: int = CLOUD_POINTS) -> float:
    """The same of the released SDF decoder, with the keys and values of the latents."""
    width, layers = RELEASED_SDF.width, RELEASED_SDF.decoder_layers
    return layers * (20 * queries * width**2 + 4 * queries * points * width + 4 * points * width**2) / 1e9


def torus(points: Floats) -> Floats:
    """Signed distance, positive inside, to a ring of radius 0.32 and tube 0.12 around z."""
    ring = np.hypot(points[:, 0], points[:, 1]) - 0.32
    return (0.12 - np.hypot(ring, points[:, 2])).astype(np.float32)


def box(points: Floats) -> Floats:
    """Signed distance, positive inside, to a box of half sides 0.45, 0.3 and 0.2."""
    beyond = np.abs(points) - np.array([0.45, 0.3, 0.2], np.float32)
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    return (-outside - np.minimum(beyond.max(axis=1), 0)).astype(np.float32)


SHAPES: dict[str, Callable[[Floats], Floats]] = {"torus": torus, "box": box}


def grid_queries(grid_size: int, method: Method = "interpolated", released: Field | None = None) -> dict[str, int]:
    """What a grid asks on exact shapes, and of the SDF networks at hand around points of a chair.

    released: the field of the released network, where its weights are at hand.
    """
    fields: dict[str, Field] = dict(SHAPES)
    if embedded_path("sdf").is_file():
        network, _ = read_network(embedded_path("sdf"), SightSDF)
        fields["embedded SDF network, a chair"] = sdf_field(network, on_chair(CLOUD_POINTS), torch.device("cpu"))
    if released is not None:
        fields["released SDF network, a chair"] = released
    return {name: sample_grid(field, grid_size=grid_size, method=method).n_queries for name, field in fields.items()}


def compare_mesh(turns: Turns, *, grid_size: int = 128, full: bool = False) -> tuple[Compared, dict[str, int]]:
    """The mesh of a cloud, and the queries of an interpolated grid, of which the most are taken.

    InputError for a grid below 32: one batch would ask all of it.
    """
    if grid_size < 32:
        raise InputError(f"grid of the mesh: expected at least 32, found {grid_size}")
    network, is_random = network_of("sdf")
    assert isinstance(network, SDFTransformer)
    points = _on_torus(CLOUD_POINTS)
    cloud = PointCloud(points, np.full_like(points, 0.5))
    plain, device = ReferenceSDF(network), torch.device("cpu")
    asked = np.random.default_rng(1).uniform(-0.51, 0.51, (CHUNK, 3)).astype(np.float32)
    as_tensor = torch.from_numpy(points.T.copy())[None]
    latents, batch = plain.encode(as_tensor), torch.from_numpy(asked[:QUERIES].T.copy())[None]
    field = sdf_field(network, points, device, chunk=CHUNK, dtype=turns.dtype)
    jobs: dict[str, Job] = {
        "reference encode": lambda: plain.encode(as_tensor),
        "reference": lambda: plain.decode(latents, batch),
        "ours encode": lambda: sdf_field(network, points, device, chunk=CHUNK, dtype=turns.dtype),
        "ours": lambda: field(asked),
        "surface": lambda: mesh_from_field(torus, cloud, grid_size=grid_size, method="interpolated"),
        "surface dense": lambda: mesh_from_field(torus, cloud, grid_size=grid_size, method="dense"),
    }
    seconds = turns(jobs, warm=("ours",))
    released = None if is_random else sdf_field(network, on_chair(CLOUD_POINTS), device, chunk=CHUNK)
    queries = grid_queries(grid_size, released=released)
    units = {"reference": grid_size**3 / QUERIES, "ours": max(queries.values()) / CHUNK}

    def side(way: str, size: int, rest: str) -> Side:
        total = seconds[f"{way} encode"] + units[way] * seconds[way] + seconds[rest]
        return turns.side(way, seconds[way], units[way], total, query_gflop(size))

    ran = None
    if full:

        def answered(queries: Floats) -> Floats:
            """The network is asked, and the shape answers: what it says has no surface with random weights."""
            whole(queries)
            return torus(queries)

        began = time.perf_counter()
        whole = sdf_field(network, points, device, chunk=CHUNK, dtype=turns.dtype)
        mesh_from_field(answered, cloud, grid_size=grid_size, method="interpolated")
        ran = time.perf_counter() - began
    reference, ours = side("reference", QUERIES, "surface dense"), side("ours", CHUNK, "surface")
    return Compared("mesh", is_random, reference, ours, ran), queries


def on_chair(n: int) -> Floats:
    """Points (n, 3) of a procedural chair in the unit frame, always the same."""
    rng = np.random.default_rng(0)
    return sample_surface(FAMILIES["chair"].assemble(rng), n, rng).points.astype(np.float32)


def _on_torus(n: int) -> Floats:
    around, across = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, n))
    ring = 0.32 + 0.12 * np.cos(across)
    return np.stack([ring * np.cos(around), ring * np.sin(around), 0.12 * np.sin(across)], axis=1).astype(np.float32)
