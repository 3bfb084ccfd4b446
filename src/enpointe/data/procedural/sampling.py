"""Points on the visible surface of an assembly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.data.procedural.family import Assembly
from enpointe.data.procedural.solids import Array


@dataclass(frozen=True)
class Surface:
    """A sampled surface in the unit frame (centered, longest side 1), in random order.

    points (n, 3), normals (n, 3), part (n,) index into the assembly's parts; p_assembly = points * scale + center.
    """

    points: Array
    normals: Array
    part: NDArray[np.int64]
    scale: float
    center: Array


def sample_surface(assembly: Assembly, n_points: int, rng: np.random.Generator) -> Surface:
    """Even samples of the union's surface; what lies inside another part is left out."""
    vertices, faces, owner = assembly.mesh()
    low, high = vertices.min(0), vertices.max(0)
    scale, center = float((high - low).max()), (high + low) / 2
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    twice_area = np.sqrt((cross**2).sum(-1))
    cumulative = np.cumsum(twice_area)
    found: list[tuple[Array, Array, NDArray[np.int64]]] = []
    missing, wanted = n_points, int(n_points * 1.35) + 8
    while missing > 0:
        # One draw in each equal slice of the area: evener than independent draws.
        at = (np.arange(wanted) + rng.random(wanted)) / wanted * cumulative[-1]
        face = np.minimum(np.searchsorted(cumulative, at), len(faces) - 1)
        a, b = rng.random((2, wanted, 1))
        root = np.sqrt(a)
        tri = corners[face]
        points = tri[:, 0] * (1 - root) + tri[:, 1] * (root * (1 - b)) + tri[:, 2] * (root * b)
        normals = cross[face] / np.maximum(twice_area[face, None], 1e-12)
        part = owner[face]
        seen = ~hidden(assembly, points + normals * (1e-4 * scale), part)
        found.append((points[seen], normals[seen], part[seen]))
        missing -= int(seen.sum())
        if not seen.any():
            raise ValueError("assembly has no visible surface: expected at least one part outside the others")
        wanted = int(missing * wanted / seen.sum() * 1.2) + 8
    points, normals, part = (np.concatenate(column) for column in zip(*found, strict=True))
    pick = rng.permutation(len(points))[:n_points]
    return Surface((points[pick] - center) / scale, normals[pick], part[pick], scale, center)


def hidden(assembly: Assembly, points: Array, part: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which points (n,), each lifted a little off its own part, lie inside another part."""
    inside = np.zeros(len(points), dtype=bool)
    reaches = [np.abs(part.solid.mesh()[0]).max(0) for part in assembly.parts]
    for i, other in enumerate(assembly.parts):
        local = (points - other.position) @ other.rotation
        reach = reaches[i]
        near = np.flatnonzero((np.abs(local) <= reach).all(-1) & (part != i) & ~inside)
        if len(near):
            inside[near] = other.solid.sdf(local[near]) < 0
    return inside
