"""Which points of a surface can be seen from outside: depth maps from all around.

Works on triangle soups (holes, crossing and doubled faces) since it needs nothing but samples of the
surface. What no direction sees is inside; the inner wall of an open thing is seen through its mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESOLUTION = 160
"""Pixels along a side of a depth map, which spans the bounding sphere, unless the surface is too large for it."""
DENSITY = 1.25
"""Samples of the surface for each pixel that it would cover, seen face-on."""
SAMPLES = (12_500, 60_000)
"""At least and at most, of one surface."""
_RINGS = ((0.0, 4), (14.0, 12), (38.0, 9), (64.0, 8), (90.0, 1))
"""Elevation in degrees and number of directions. Each is viewed from both ends."""


def view_directions() -> NDArray[np.float32]:
    """Unit vectors (k, 3) such that these and their opposites surround the object."""
    axes = []
    for elevation, count in _RINGS:
        e = np.deg2rad(elevation)
        # On the horizon the opposites are the other half of the ring.
        turns = np.arange(count) * (np.pi if elevation == 0 else 2 * np.pi) / count
        axes += [(np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)) for a in turns]
    return np.array(axes, np.float32)


def plan(
    area: float,
    radius: float,
    resolution: int = RESOLUTION,
    density: float = DENSITY,
    samples: tuple[int, int] = SAMPLES,
) -> tuple[int, int]:
    """How many samples of a surface of this area, and maps of how many pixels, hide what is behind it.

    `density` samples a pixel of surface, so that nine neighbors hardly ever hold none; where that would be too
    many samples the maps get coarser than `resolution`.
    """
    n = int(np.clip(density * area * (resolution / (2 * radius)) ** 2, *samples))
    return n, int(np.clip(2 * radius * np.sqrt(n / (0.75 * density * area)), 64, resolution))


@dataclass(frozen=True)
class DepthMaps:
    """Nearest and farthest depths of a surface along `view_directions`.

    Attributes:
        center, radius: the bounding sphere that the maps span.
        frames: (k, 3, 3) rows right, up, away of each direction.
        near, far: (k, r, r) depth in pixels, already the extreme of each pixel's 3 x 3 neighbors, so
            that a gap between samples is no window.
    """

    center: NDArray[np.float32]
    radius: float
    frames: NDArray[np.float32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.floating], resolution: int = RESOLUTION) -> DepthMaps:
        """Maps of dense surface samples (m, 3); see `plan`."""
        center = ((points.min(axis=0) + points.max(axis=0)) / 2).astype(np.float32)
        radius = max(float(np.linalg.norm(points - center, axis=1).max()), 1e-12)
        frames = np.stack([_frame(away) for away in view_directions()])
        shape = (len(frames), resolution, resolution)
        near, far = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
        maps = cls(center, radius, frames, near, far)
        local = maps._in_pixels(points)
        for k in range(len(frames)):
            pixel, depth = _project(local, frames[k], resolution)
            np.minimum.at(near[k].reshape(-1), pixel, depth)
            np.maximum.at(far[k].reshape(-1), pixel, depth)
            _spread(near[k], np.minimum)
            _spread(far[k], np.maximum)
        return maps

    def visible(
        self, points: NDArray[np.floating], normals: NDArray[np.floating]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which of n points are seen at all, and the sum (n, 3) of directions towards those that see each.

        The points lie within the bounding sphere. `normals` (n, 3), of either sign, bound how much depth
        changes within a pixel's neighbors.
        """
        seen = np.zeros(len(points), bool)
        towards = np.zeros((len(points), 3), np.float32)
        local = self._in_pixels(points)
        for k, frame in enumerate(self.frames):
            pixel, depth = _project(local, frame, self.near.shape[1])
            facing = np.abs(np.einsum("nd,d->n", normals, frame[2])).clip(0.25, 1)
            # Half a pixel face-on; a slope falls by 1.5 pixels times its tangent. Measured across the surface
            # this is never more than 1.6 pixels.
            tolerance = 0.5 + 1.5 * np.sqrt(1 - facing**2) / facing
            front = depth <= self.near[k].reshape(-1)[pixel] + tolerance
            back = depth >= self.far[k].reshape(-1)[pixel] - tolerance
            seen |= front | back
            towards += (back.astype(np.float32) - front)[:, None] * frame[2]
        return seen, towards

    def _in_pixels(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Coordinates (3, n) from the center of the maps."""
        scale = (self.near.shape[1] - 1) / 2 / self.radius
        return np.ascontiguousarray(((points - self.center) * scale).T, np.float32)


def _spread(image: NDArray[np.float32], extreme: np.ufunc) -> None:
    """Every pixel (r, r) becomes the extreme of its 3 x 3 neighbors, in place."""
    for lines in (image, image.T):
        before = lines.copy()
        extreme(lines[1:], before[:-1], out=lines[1:])
        extreme(lines[:-1], before[1:], out=lines[:-1])


def _project(
    local: NDArray[np.float32], frame: NDArray[np.float32], resolution: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Flat pixel and depth of each point (3, n) in one direction's map.

    Written out: a product of matrices as long as these would start as many threads as there are cores, in every
    worker process, which wait for each other for longer than they compute.
    """
    px, py, pz = local
    x, y, depth = (row[0] * px + row[1] * py + row[2] * pz for row in frame)
    half = np.float32(resolution / 2)
    return (y + half).astype(np.int64) * resolution + (x + half).astype(np.int64), depth


def _frame(away: NDArray[np.float32]) -> NDArray[np.float32]:
    side = np.array([1.0, 0, 0]) if abs(away[0]) < 0.6 else np.array([0, 1.0, 0])
    right = np.cross(side, away)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(away, right), away]).astype(np.float32)
