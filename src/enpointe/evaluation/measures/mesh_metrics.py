"""Soundness of a mesh (closed, in few pieces, free of crossings) and consistency of its normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError
from enpointe.geometry.checks import Indices
from enpointe.geometry.mesh import Mesh

Doubles = NDArray[np.float64]

SURFACE_SAMPLES = 10_000
"""Points on each surface where normals are compared; a tenth of what Occupancy Networks takes."""

MAX_COMPARISONS = 2**28
"""Pairs of faces whose boxes are compared in the search for self-intersections: all, up to 16,384 faces."""

MAX_TESTS = 2**21
"""Pairs of faces that are tested exactly, about; where boxes overlap a lot these end the search first."""

BOXES_AT_ONCE = 2**22
TESTS_AT_ONCE = 2**16

TOUCH = 1e-6
"""Depth, as a share of the mesh's diagonal, up to which faces touch and do not cross: float32's rounding."""


class OrientedPoints(NamedTuple):
    """Points of a surface and its unit normals there; (n, 3) both."""

    points: NDArray[np.floating]
    normals: NDArray[np.floating]


class SelfIntersection(NamedTuple):
    """How much of a mesh runs through itself."""

    share: float
    """0 to 1: of the faces examined, those that cross a face with which they share no corner."""
    examined: int
    """Faces examined against all others: all of them, or a random sample where that would cost too much."""


@dataclass(frozen=True)
class MeshQuality:
    """Soundness of a mesh, without a reference."""

    watertight: bool
    components: int
    self_intersection: SelfIntersection


def mesh_quality(mesh: Mesh, seed: int = 0) -> MeshQuality:
    """The three together; `seed` is that of `self_intersection`."""
    return MeshQuality(is_watertight(mesh), component_count(mesh), self_intersection(mesh, seed))


def is_watertight(mesh: Mesh) -> bool:
    """Whether each edge belongs to just two faces that run along it in opposite directions.

    As `Mesh.is_watertight`, but a seam does not count as a hole: formats such as GLB give one corner several
    vertices where colors or normals differ. The mesh counts as closed if it is, as it stands or welded.
    """
    if mesh.is_watertight:
        return True
    faces = _welded(mesh)
    faces = faces[(faces != np.roll(faces, -1, axis=1)).all(axis=1)]  # what welding made an edge
    return len(faces) > 0 and Mesh(mesh.vertices, faces).is_watertight


def component_count(mesh: Mesh) -> int:
    """Connected pieces, at least 1; faces are connected where corners are at the same position.

    The wall of a hollow is a piece of its own.
    """
    faces = _welded(mesh)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(len(mesh.vertices),) * 2)
    labels = connected_components(graph, directed=False)[1]
    return len(np.unique(labels[faces[:, 0]]))


def normal_consistency(a: Mesh, b: Mesh, n: int = SURFACE_SAMPLES, seed: int = 0) -> float:
    """How well the normals of two surfaces agree: 0 to 1, 1 for the same surface (arXiv 1812.03828).

    The mean of |cosine| between the normals at a point drawn on one surface and at the nearest of the points
    drawn on the other, averaged over both directions. The sign is left out, as there, so that faces turned
    inside out are not seen. Where creases are, the limited number of samples keeps it a little below 1.

    Raises:
        InputError: n below 1, or a mesh without area.
    """
    # The same places would flatter like meshes.
    return normal_agreement(sample_surface(a, n, seed), sample_surface(b, n, seed + 1))


def normal_agreement(a: OrientedPoints, b: OrientedPoints) -> float:
    """As `normal_consistency`, of surfaces that points stand for; about 0.5 for unrelated normals."""
    there = b.normals[cKDTree(b.points).query(a.points)[1]]
    back = a.normals[cKDTree(a.points).query(b.points)[1]]
    pairs = ((a.normals, there), (b.normals, back))
    cosines = [np.abs(np.einsum("ij,ij->i", x, y, dtype=np.float64)).mean() for x, y in pairs]
    return min(1.0, float(np.mean(cosines)))


def sample_surface(mesh: Mesh, n: int, seed: int | Sequence[int] = 0) -> OrientedPoints:
    """n points spread evenly at random over the faces' area, and the faces' unit normals there.

    Raises:
        InputError: n below 1, or a mesh without area.
    """
    points, face, _ = draw_on_surface(mesh, n, seed)
    normals = mesh.face_normals[face]
    return OrientedPoints(points, normals / np.linalg.norm(normals, axis=1, keepdims=True))


def draw_on_surface(
    mesh: Mesh, n: int, seed: int | Sequence[int] = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """n points (n, 3) spread evenly at random over the faces' area, their faces (n,) and corners' weights (n, 3).

    Raises:
        InputError: n below 1, or a mesh without area.
    """
    if n < 1:
        raise InputError(f"samples: expected at least 1, found {n}")
    sizes = np.linalg.norm(mesh.face_normals, axis=1)
    if not sizes.sum() > 0:
        raise InputError("mesh: expected a surface, found faces without area only")
    rng = np.random.default_rng(seed)
    face = rng.choice(len(sizes), size=n, p=sizes / sizes.sum())
    u, v = rng.random((2, n))
    outside = u + v > 1  # the half of the parallelogram beyond the face, turned back onto it
    u[outside], v[outside] = 1 - u[outside], 1 - v[outside]
    a, b, c = _corners(mesh)[face].swapaxes(0, 1)
    return a + u[:, None] * (b - a) + v[:, None] * (c - a), face, np.stack([1 - u - v, u, v], axis=1)


def self_intersection(mesh: Mesh, seed: int = 0) -> SelfIntersection:
    """The share of faces that cross another: an edge of one pierces the inside or the rim of the other.

    A lower bound: not seen are faces in one plane that overlap, and a crossing of faces that share a corner
    (corners at the same position count as shared). Faces are examined in random order against all others until
    MAX_COMPARISONS or MAX_TESTS is reached, a few seconds in some 100 MB.
    """
    faces, corners = _welded(mesh), _corners(mesh)
    low, high = (limit(corners, axis=1).astype(np.float32) for limit in (np.min, np.max))
    touch = TOUCH * float(np.linalg.norm(high.max(axis=0).astype(np.float64) - low.min(axis=0)))
    order = np.random.default_rng(seed).permutation(len(faces))[: max(1, MAX_COMPARISONS // len(faces))]
    step = max(1, BOXES_AT_ONCE // len(faces))
    crossing = np.zeros(len(faces), dtype=bool)
    examined = tests = 0
    while examined < len(order) and tests < MAX_TESTS:
        queries = order[examined : examined + step]
        overlap = np.ones((len(queries), len(faces)), dtype=bool)
        for axis in range(3):
            overlap &= low[queries, None, axis] <= high[:, axis]
            overlap &= high[queries, None, axis] >= low[:, axis]
        row, other = np.nonzero(overlap)
        for first in range(0, len(row), TESTS_AT_ONCE):
            part = slice(first, first + TESTS_AT_ONCE)
            one, two = queries[row[part]], other[part]
            apart = (faces[one][:, :, None] != faces[two][:, None]).all(axis=(1, 2))
            one, two = one[apart], two[apart]
            crossing[one[_cross(corners[one], corners[two], touch)]] = True
        examined += len(queries)
        tests += len(row)
    return SelfIntersection(float(crossing.sum() / examined), examined)


def _cross(a: Doubles, b: Doubles, touch: float) -> NDArray[np.bool_]:
    """Whether triangles (m, 3, 3) and (m, 3, 3) not in one plane cross: then an edge of one pierces the other."""
    found = np.zeros(len(a), dtype=bool)
    for edges, face in ((a, b), (b, a)):
        for i in range(3):
            found |= _pierces(edges[:, i], edges[:, (i + 1) % 3], face, touch)
    return found


def _pierces(start: Doubles, end: Doubles, face: Doubles, touch: float) -> NDArray[np.bool_]:
    """Whether the segment has its ends, both farther than `touch`, on two sides of the face's plane and meets the face.

    It meets it where it passes the three edges on the same side, that is, where three tetrahedra have one sign.
    """
    p, q, r = face.swapaxes(0, 1)
    normal = np.cross(q - p, r - p)
    limit = touch * np.linalg.norm(normal, axis=1)
    ends = np.stack([((point - p) * normal).sum(axis=1) for point in (start, end)])
    through = (ends.min(axis=0) < -limit) & (ends.max(axis=0) > limit)
    along = end - start
    rims = ((p, q), (q, r), (r, p))
    sides = np.stack([(along * np.cross(x - start, y - start)).sum(axis=1) for x, y in rims])
    inside = (sides.min(axis=0) >= 0) | (sides.max(axis=0) <= 0)
    met: NDArray[np.bool_] = through & inside
    return met


def _corners(mesh: Mesh) -> Doubles:
    """(f, 3, 3): face, corner, coordinate."""
    return mesh.vertices.astype(np.float64)[mesh.faces]


def _welded(mesh: Mesh) -> Indices:
    """The faces, with one index for all the vertices at a position; still below the number of vertices."""
    # Adding zero makes -0 and 0 one position.
    same = np.unique(mesh.vertices + 0.0, axis=0, return_inverse=True)[1]
    faces: Indices = same.reshape(-1).astype(np.int64)[mesh.faces]
    return faces
