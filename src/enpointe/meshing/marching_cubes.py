"""A signed-distance field and a colored cloud become a mesh: marching cubes, colors, no crumbs.

Marching cubes is scikit-image's, with Lewiner's case tables ("Efficient implementation of Marching Cubes' cases with
topological guarantees", 2003). Inside the grid these join up from cell to cell, so that every edge has two faces and
surfaces are closed. They do not join in two cases, which are seen to here: at samples of exactly zero, where faces
collapse to points, and at faces of cells whose bilinear saddle is exactly zero, where four faces can share an edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from enpointe.core.errors import InputError, MeshError
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.meshing.sparse_grid import BOX, Field, Floats, GridSamples, Indices, Method, sample_grid

_ZERO = 1e-4  # of the steepest step between two samples: nearer to zero than that, a sample is moved away
_TIE = 1e-3  # the relative change of the samples that undoes exact saddles
_ATTEMPTS = 4
_MAX_BORDER = 0.25  # of the box's border inside: more than one and a half of its six sides
_MIN_DISTANCE = 1e-9  # a vertex on a point gets that point's color


def mesh_from_field(
    field: Field,
    cloud: PointCloud,
    *,
    grid_size: int = 128,
    box: tuple[float, float] = BOX,
    method: Method = "sparse",
    lipschitz: float | None = None,
    k: int = 4,
    keep_small: bool = False,
    min_fraction: float = 0.02,
) -> Mesh:
    """The surface of `field` in the colors of `cloud`: watertight, faces outward.

    grid_size, box, method, lipschitz: see `sample_grid`. k: see `color_vertices`; 1 is the release's coloring.
    keep_small: leave pieces smaller than min_fraction of the largest one's area where they are.

    MeshError where the field is all positive, all negative or not finite, and where its surface cannot be an
    object's: more than a quarter of the box's border lies inside, or the area is above max(12, n / 3) times the box's
    side squared, n the samples along a side, that is, the surface passes one cell in three (a unit cube has 6, noise
    about n).
    """
    if k < 1:
        raise InputError(f"k: expected at least 1, found {k}")
    samples = sample_grid(field, grid_size=grid_size, box=box, method=method, lipschitz=lipschitz)
    _check_border(samples)
    mesh = Mesh(*march(samples))
    _check_area(mesh, samples)
    if not keep_small:
        mesh = drop_small_pieces(mesh, min_fraction)
    return Mesh(mesh.vertices, mesh.faces, color_vertices(mesh.vertices, cloud, k))


def march(samples: GridSamples) -> tuple[Floats, Indices]:
    """Marching cubes over sampled values: vertices (v, 3) and faces (f, 3), closed, counter-clockwise from outside.

    What reaches the border of the box is closed by a lid half a voxel beyond it. The same samples in the cells that
    the surface passes give the same result to the bit, whatever the others hold.
    MeshError where the values have one sign only.
    """
    inside = samples.inside
    if not inside.any() or inside.all():
        side = "inside (positive)" if inside.any() else "outside (not positive)"
        low, high = float(samples.values.min()), float(samples.values.max())
        raise MeshError(f"expected a field with a surface in the box, found all of it {side}: {low:.3g} to {high:.3g}")
    block, origin = _closed_block(samples)
    for attempt in range(_ATTEMPTS):
        jitter = np.random.default_rng(attempt).random(block.shape, dtype=np.float32) if attempt else np.float32(0)
        vertices, faces = _marching_cubes(block * (1 + np.float32(_TIE) * jitter))
        placed = ((vertices + origin) * samples.voxel + samples.low).astype(np.float32)
        if Mesh(placed, faces).is_watertight:
            return placed, faces
    raise MeshError(f"expected a closed surface, found edges with other than two faces after {_ATTEMPTS} attempts")


def _marching_cubes(block: Floats) -> tuple[NDArray[np.float64], Indices]:
    from skimage import measure

    lewiner: Callable[..., Any] = measure.marching_cubes  # not typed
    vertices, faces, _, _ = lewiner(block, 0.0, method="lewiner", allow_degenerate=True)
    # Its faces wind outward for objects below the level; ours are above. The release swaps these two columns as well.
    return vertices.astype(np.float64), faces[:, [1, 0, 2]].astype(np.int64)


def _closed_block(samples: GridSamples) -> tuple[Floats, NDArray[np.int64]]:
    """The part of the grid around all that is inside, with an outside layer on each face; its first index (3,)."""
    inside, size = samples.inside, samples.values.shape[0]
    spans = []
    for axis in range(3):
        layers = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        spans.append((int(layers[0]) - 1, int(layers[-1]) + 2))
    block = samples.values[tuple(slice(max(first, 0), min(end, size)) for first, end in spans)]
    block = _without_zeros(block)
    missing = [(int(first < 0), int(end > size)) for first, end in spans]
    block = np.pad(block, missing, mode="edge")
    for axis, sides in enumerate(missing):
        layers_of = np.moveaxis(block, axis, 0)
        for layer, is_missing in zip((0, -1), sides, strict=True):
            if is_missing:
                layers_of[layer] = -np.abs(layers_of[layer])
    return block, np.array([first for first, _ in spans])


def _without_zeros(values: Floats) -> Floats:
    """Samples on the surface moved off it a little, to the side that they count as."""
    steps = [np.diff(values, axis=axis) for axis in range(3)]
    crossed = [np.diff(values > 0, axis=axis) for axis in range(3)]
    steepest = max(np.abs(step[cross]).max(initial=0) for step, cross in zip(steps, crossed, strict=True))
    least = np.float32(_ZERO * steepest)
    return np.where(np.abs(values) < least, np.where(values > 0, least, -least), values)


def _check_border(samples: GridSamples) -> None:
    border = np.ones(samples.values.shape, dtype=np.bool_)
    border[1:-1, 1:-1, 1:-1] = False
    share = float(samples.inside[border].mean())
    if share > _MAX_BORDER and not samples.inside.all():  # all inside: `march` says so
        raise MeshError(
            f"expected an object within the box, found {share:.0%} of the box's border inside it: "
            "the field has the wrong sign, or does not belong to this frame"
        )


def _check_area(mesh: Mesh, samples: GridSamples) -> None:
    size = samples.values.shape[0]
    limit = max(12.0, size / 3)
    area = mesh.area / (samples.voxel * (size - 1)) ** 2
    if area > limit:
        raise MeshError(
            f"expected an object's surface, at most {limit:.0f} times a side of the box, found {area:.0f} times: "
            "the field is mostly noise"
        )


def drop_small_pieces(mesh: Mesh, min_fraction: float = 0.02, by: Literal["area", "volume"] = "area") -> Mesh:
    """`mesh` without the connected pieces below min_fraction (0..1) of the largest one's area or enclosed volume.

    The wall of a hollow is a piece of its own: a small one is filled. Vertices without faces go too.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if by not in get_args(Literal["area", "volume"]):
        raise InputError(f"by: expected area or volume, found {by!r}")
    if not (math.isfinite(min_fraction) and 0 <= min_fraction <= 1):
        raise InputError(f"min_fraction: expected 0 to 1, found {min_fraction!r}")
    count = len(mesh.vertices)
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(count, count))
    piece = connected_components(graph, directed=False)[1][mesh.faces[:, 0]]
    measure = np.abs(np.bincount(piece, weights=_face_areas(mesh) if by == "area" else _face_volumes(mesh)))
    faces = mesh.faces[(measure >= min_fraction * measure.max())[piece]]
    kept, renumbered = np.unique(faces, return_inverse=True)
    colors = None if mesh.colors is None else mesh.colors[kept]
    return Mesh(mesh.vertices[kept], renumbered.reshape(faces.shape), colors)


def _face_areas(mesh: Mesh) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.linalg.norm(mesh.face_normals, axis=1) / 2
    return areas


def _face_volumes(mesh: Mesh) -> NDArray[np.float64]:
    """(f,) signed volume between each face and the mesh's middle."""
    corners = (mesh.vertices.astype(np.float64) - mesh.vertices.mean(axis=0, dtype=np.float64))[mesh.faces]
    volumes: NDArray[np.float64] = np.linalg.det(corners) / 6
    return volumes


def color_vertices(vertices: ArrayLike, cloud: PointCloud, k: int = 4) -> Floats:
    """Colors (v, 3) for vertices (v, 3): the mean of the k nearest points', weighted by inverse distance.

    k = 1 takes the nearest point's color, as the release does. A cloud with fewer than k points gives all it has.
    """
    distances, indices = cloud.neighbors(vertices, min(k, len(cloud)))
    weights = 1 / np.maximum(distances, _MIN_DISTANCE)
    weights /= weights.sum(axis=1, keepdims=True)
    blended: Floats = np.einsum("vk,vkc->vc", weights, cloud.colors[indices]).astype(np.float32)
    return np.clip(blended, 0, 1)
