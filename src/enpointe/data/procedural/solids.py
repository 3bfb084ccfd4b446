"""Closed solids: a triangulated surface to sample and a signed distance, each in its own frame.

A solid is centered on its own origin unless its docstring says otherwise. Signed distances are
negative inside, and exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Faces = NDArray[np.int64]

SEGMENTS = 32
"""Facets around a round solid; the chord error is half a percent of the radius."""
_NEWTON_STEPS = 8
"""Enough for an error below 1e-4 of the longest radius on ellipsoids fifty times as long as thick."""


class Solid(Protocol):
    """What a part is made of."""

    def mesh(self) -> tuple[Array, Faces]:
        """Vertices (v, 3) and outward-facing triangles (f, 3)."""
        ...

    def sdf(self, points: Array) -> Array:
        """Signed distance (n,) at points (n, 3), negative inside."""
        ...


@dataclass(frozen=True)
class Scaled:
    """Another solid, larger or smaller."""

    solid: Solid
    factor: float

    @classmethod
    def of(cls, solid: Solid, factor: float) -> Scaled:
        """Scaled once, also if it is scaled already."""
        return cls(solid.solid, solid.factor * factor) if isinstance(solid, Scaled) else cls(solid, factor)

    def mesh(self) -> tuple[Array, Faces]:
        vertices, faces = self.solid.mesh()
        return vertices * self.factor, faces

    def sdf(self, points: Array) -> Array:
        return self.solid.sdf(points / self.factor) * self.factor


@dataclass(frozen=True)
class Box:
    """An axis-aligned box; `size` is its full extent along x, y, z."""

    size: tuple[float, float, float]

    def mesh(self) -> tuple[Array, Faces]:
        corners, faces = _unit_box()
        return corners * np.asarray(self.size), faces

    def sdf(self, points: Array) -> Array:
        q = np.abs(points) - np.asarray(self.size) / 2
        outside = np.sqrt((np.maximum(q, 0) ** 2).sum(-1))
        return outside + np.minimum(q.max(-1), 0)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with semi-axes `radii`."""

    radii: tuple[float, float, float]

    def mesh(self) -> tuple[Array, Faces]:
        vertices, faces = _unit_sphere()
        return vertices * np.asarray(self.radii), faces

    def sdf(self, points: Array) -> Array:
        # The nearest point is q = r^2 p / (t + r^2) for the t > -min(r)^2 that puts it on the surface,
        # S(t) = |q / r|^2 = 1. Newton's method on 1 / sqrt(S), which is nearly straight, climbs to t
        # from any side where S >= 1 (as in trust-region solvers: More and Sorensen 1983, section 3).
        radii = np.asarray(self.radii)
        square = radii**2
        p = np.maximum(np.abs(points), 1e-7 * radii.min())  # off the planes of symmetry, where S has gaps
        t = (radii * p - square).max(-1, keepdims=True)
        for _ in range(_NEWTON_STEPS):
            terms = (radii * p / (t + square)) ** 2
            total = terms.sum(-1, keepdims=True)
            t = t + total * (np.sqrt(total) - 1) / (terms / (t + square)).sum(-1, keepdims=True)
        distance = np.abs(t[:, 0]) * np.sqrt(((p / (t + square)) ** 2).sum(-1))
        inside = ((points / radii) ** 2).sum(-1) < 1
        return np.where(inside, -distance, distance)


@dataclass(frozen=True)
class Frustum:
    """A cone frustum along z from radius `bottom` at -height/2 to `top` at +height/2."""

    bottom: float
    top: float
    height: float

    def _profile(self) -> Array:
        h = self.height / 2
        return np.array([(0, -h), (self.bottom, -h), (self.top, h), (0, h)], dtype=float)

    def mesh(self) -> tuple[Array, Faces]:
        return _revolved_mesh(self._profile())

    def sdf(self, points: Array) -> Array:
        radius = np.hypot(points[:, 0], points[:, 1])
        h = self.height / 2
        z = points[:, 2]
        # Distance to the caps, then to the slanted side, both in the half plane (r, z).
        cap_radius = np.where(z < 0, self.bottom, self.top)
        ca = np.stack([radius - np.minimum(radius, cap_radius), np.abs(z) - h], -1)
        side = np.array([self.top - self.bottom, 2 * h])
        rel = np.stack([radius - self.bottom, z + h], -1)
        along = np.clip(rel @ side / (side @ side), 0, 1)
        cb = rel - along[:, None] * side
        inside = (cb[:, 0] < 0) & (ca[:, 1] < 0)
        distance = np.sqrt(np.minimum((ca**2).sum(-1), (cb**2).sum(-1)))
        return np.where(inside, -distance, distance)


@dataclass(frozen=True)
class Capsule:
    """A cylinder of `radius` along z with round ends; `length` is between the centers of its ends."""

    radius: float
    length: float

    def mesh(self) -> tuple[Array, Faces]:
        sphere, faces = _unit_sphere()
        vertices = sphere * self.radius
        vertices = vertices + np.sign(sphere[:, 2:]) * np.array([0, 0, self.length / 2])
        return vertices, faces

    def sdf(self, points: Array) -> Array:
        q = points.copy()
        q[:, 2] -= np.clip(q[:, 2], -self.length / 2, self.length / 2)
        return np.sqrt((q**2).sum(-1)) - self.radius


@dataclass(frozen=True)
class Torus:
    """A ring around z: `radius` to the middle of the tube, `tube` the tube's own radius."""

    radius: float
    tube: float

    def mesh(self) -> tuple[Array, Faces]:
        ring, faces = _unit_ring()
        # ring holds (cos u, sin u, cos v, sin v)
        reach = self.radius + self.tube * ring[:, 2]
        return np.stack([reach * ring[:, 0], reach * ring[:, 1], self.tube * ring[:, 3]], -1), faces

    def sdf(self, points: Array) -> Array:
        return np.hypot(np.hypot(points[:, 0], points[:, 1]) - self.radius, points[:, 2]) - self.tube


@dataclass(frozen=True)
class Prism:
    """A simple polygon `outline` (k, 2) in the xy plane, extruded by `depth` along z (centered)."""

    outline: tuple[tuple[float, float], ...]
    depth: float

    def mesh(self) -> tuple[Array, Faces]:
        outline = _counter_clockwise(np.asarray(self.outline, dtype=float))
        k = len(outline)
        indices = mapbox_earcut.triangulate_float64(outline, np.array([k], dtype=np.uint32))
        cap = _facing_up(outline, indices.reshape(-1, 3).astype(np.int64))
        low = np.column_stack([outline, np.full(k, -self.depth / 2)])
        high = np.column_stack([outline, np.full(k, self.depth / 2)])
        i, j = np.arange(k), np.roll(np.arange(k), -1)
        sides = np.concatenate([np.stack([i, j, j + k], -1), np.stack([i, j + k, i + k], -1)])
        return np.concatenate([low, high]), np.concatenate([cap[:, ::-1], cap + k, sides])

    def sdf(self, points: Array) -> Array:
        across = polygon_sdf(np.asarray(self.outline, dtype=float), points[:, :2])
        along = np.abs(points[:, 2]) - self.depth / 2
        outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
        return outside + np.minimum(np.maximum(across, along), 0)


@dataclass(frozen=True)
class Revolve:
    """A closed polygon `profile` of (radius >= 0, z) points, turned around z. Not centered.

    A profile that leaves the axis makes a hollow (a cup, a vase); edges on the axis make no surface.
    """

    profile: tuple[tuple[float, float], ...]

    def mesh(self) -> tuple[Array, Faces]:
        return _revolved_mesh(np.asarray(self.profile, dtype=float))

    def sdf(self, points: Array) -> Array:
        # Mirror the polygon through the axis where it touches it: then the axis is no boundary.
        profile = np.asarray(self.profile, dtype=float)
        flat = np.stack([np.hypot(points[:, 0], points[:, 1]), points[:, 2]], -1)
        edges = (profile, np.roll(profile, -1, axis=0))
        on_axis = (edges[0][:, 0] <= 1e-9) & (edges[1][:, 0] <= 1e-9)
        return polygon_sdf(profile, flat, skip=on_axis)


def polygon_sdf(outline: Array, points: Array, skip: NDArray[np.bool_] | None = None) -> Array:
    """Exact signed distance (n,) of points (n, 2) to a simple polygon (k, 2), negative inside.

    Edges in `skip` (k,) still decide inside and outside, but not the distance.
    """
    distance = np.full(len(points), np.inf)
    crossings = np.zeros(len(points), dtype=bool)
    for i in range(len(outline)):
        a, b = outline[i], outline[(i + 1) % len(outline)]
        edge = b - a
        rel = points - a
        if skip is None or not skip[i]:
            along = np.clip(rel @ edge / max(float(edge @ edge), 1e-18), 0, 1)
            gap = rel - along[:, None] * edge
            np.minimum(distance, (gap**2).sum(-1), out=distance)
        straddles = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        if edge[1] != 0:
            crossings ^= straddles & (rel[:, 0] < rel[:, 1] * edge[0] / edge[1])
    return np.where(crossings, -1.0, 1.0) * np.sqrt(distance)


def _counter_clockwise(outline: Array) -> Array:
    x, y = outline.T
    area = float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    return outline if area > 0 else outline[::-1]


def _facing_up(outline: Array, faces: Faces) -> Faces:
    a, b, c = (outline[faces[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.where((area < 0)[:, None], faces[:, ::-1], faces)


@lru_cache
def _unit_box() -> tuple[Array, Faces]:
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


@lru_cache
def _unit_sphere() -> tuple[Array, Faces]:
    # An even number of bands puts two rings on either side of the equator, so that a capsule
    # can pull its halves apart without a kink.
    bands = SEGMENTS // 2 + 1
    angle = np.linspace(-np.pi / 2, np.pi / 2, bands + 1)
    return _revolved_mesh(np.stack([np.cos(angle).clip(0), np.sin(angle)], -1))


@lru_cache
def _unit_ring(tube_segments: int = 12) -> tuple[Array, Faces]:
    u, v = np.meshgrid(
        np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS,
        np.arange(tube_segments) * 2 * np.pi / tube_segments,
        indexing="ij",
    )
    ring = np.stack([np.cos(u), np.sin(u), np.cos(v), np.sin(v)], -1).reshape(-1, 4)
    i, j = np.meshgrid(np.arange(SEGMENTS), np.arange(tube_segments), indexing="ij")
    i2, j2 = (i + 1) % SEGMENTS, (j + 1) % tube_segments
    a, b, c, d = (p * tube_segments + q for p, q in ((i, j), (i2, j), (i2, j2), (i, j2)))
    return ring, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def _revolved_mesh(profile: Array) -> tuple[Array, Faces]:
    """Turn a closed (or pole-to-pole) profile of (radius, z) around z."""
    profile = _counter_clockwise(profile)
    k = len(profile)
    turn = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    radius, z = profile[:, 0], profile[:, 1]
    vertices = np.stack(
        [np.outer(np.cos(turn), radius), np.outer(np.sin(turn), radius), np.tile(z, (SEGMENTS, 1))],
        -1,
    ).reshape(-1, 3)
    s, i = np.meshgrid(np.arange(SEGMENTS), np.arange(k), indexing="ij")
    s2, i2 = (s + 1) % SEGMENTS, (i + 1) % k
    a, b, c, d = (p * k + q for p, q in ((s, i), (s2, i), (s2, i2), (s, i2)))
    lower = np.broadcast_to(radius > 1e-9, (SEGMENTS, k))
    upper = np.broadcast_to(np.roll(radius, -1) > 1e-9, (SEGMENTS, k))
    faces = [np.stack([a, b, c], -1)[lower], np.stack([a, c, d], -1)[upper]]
    return vertices, np.concatenate(faces).astype(np.int64)
