"""Pinhole cameras around an object: where a point appears in an image, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError

FOV_DEGREES = 40.0
_MARGIN = 1.02
"""How much farther away than the distance at which the cube would touch the image's border."""
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that takes square images.

    Its own axes are OpenCV's: x right, y down, z forward, the center of projection at the origin. Images
    have (0, 0) at their upper left corner and the center of their first pixel at (0.5, 0.5); the axis z
    goes through the middle.

    Attributes:
        world_from_camera: (4, 4) rigid.
        focal: focal length in pixels.
        size: pixels along a side.
    """

    world_from_camera: NDArray[np.float64]
    focal: float
    size: int

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) the center of projection in the world."""
        return self.world_from_camera[:3, 3]

    @property
    def fov_degrees(self) -> float:
        """The angle between left and right border."""
        return float(np.rad2deg(2 * np.arctan(self.size / (2 * self.focal))))

    @property
    def camera_from_world(self) -> NDArray[np.float64]:
        """(4, 4), the inverse."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.world_from_camera[:3, :3].T
        inverse[:3, 3] = -inverse[:3, :3] @ self.position
        return inverse

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel coordinates (n, 2), x then y, and depths (n,) along the axis z of points (n, 3) of the world.

        A point at or behind the center of projection (depth <= 0) has no meaningful pixel.
        """
        local = (points - self.position) @ self.world_from_camera[:3, :3]
        depth = local[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = self.focal * local[:, :2] / depth[:, None] + self.size / 2
        return pixels, depth

    def window(self, points: NDArray[np.floating]) -> tuple[slice, slice]:
        """Rows and columns of the image outside which nothing of the convex hull of points (n, 3) appears."""
        pixels, depth = self.project(points)
        if depth.min() <= 0:
            return slice(0, self.size), slice(0, self.size)
        low = np.floor(pixels.min(axis=0)).clip(0, self.size).astype(int)
        high = np.ceil(pixels.max(axis=0)).clip(0, self.size).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def rays(self, pixels: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Directions (n, 3) in the world through pixel coordinates (n, 2), one unit of depth long.

        Without `pixels`: (size, size, 3), through the center of every pixel.
        """
        if pixels is None:
            at = np.arange(self.size) + 0.5
            pixels = np.stack(np.meshgrid(at, at), axis=-1)
        local = np.ones((*pixels.shape[:-1], 3))
        local[..., :2] = (pixels - self.size / 2) / self.focal
        return local @ self.world_from_camera[:3, :3].T

    def back_project(self, pixels: NDArray[np.floating], depth: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (n, 3) of the world at pixel coordinates (n, 2) and depths (n,) along the axis z."""
        return self.position + depth[:, None] * self.rays(pixels)

    def header(self) -> dict[str, Any]:
        """As JSON can hold it, without loss."""
        return {"world_from_camera": self.world_from_camera.tolist(), "focal": self.focal, "size": self.size}

    @staticmethod
    def of_header(header: Mapping[str, Any]) -> Camera:
        """What `header` wrote.

        Raises:
            InputError: it is something else.
        """
        try:
            matrix = np.array(header["world_from_camera"], dtype=np.float64)
            focal, size = float(header["focal"]), int(header["size"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"expected a camera, found {error!r}") from error
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not 0 < focal < np.inf or size < 1:
            raise InputError(f"expected a camera, found shape {matrix.shape}, focal {focal}, size {size}")
        return Camera(matrix, focal, size)


def look_at_center(direction: NDArray[np.floating], *, size: int, fov_degrees: float = FOV_DEGREES) -> Camera:
    """A camera in the given direction (3,) from the origin, upright, as near as it sees the whole unit cube.

    Raises:
        InputError: a size below one, an angle outside 1 to 120 degrees, or no direction.
    """
    if size < 1 or not 1 <= fov_degrees <= 120:
        raise InputError(f"expected size >= 1 and 1 <= fov_degrees <= 120, found {size} and {fov_degrees}")
    length = float(np.linalg.norm(direction))
    if not 0 < length < np.inf:
        raise InputError(f"expected a direction, found {direction}")
    forward = -np.asarray(direction, float) / length
    # Straight above there is no upright; the front (-y) is then below in the image.
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    slope = np.tan(np.deg2rad(fov_degrees) / 2)
    corners = (np.indices((2, 2, 2)).reshape(3, 8).T - 0.5) @ rotation
    # Every corner is to lie inside: |x| <= slope (distance + z), and the same of y.
    distance = _MARGIN * float((np.abs(corners[:, :2]).max(axis=1) / slope - corners[:, 2]).max())
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = rotation
    world_from_camera[:3, 3] = -distance * forward
    return Camera(world_from_camera, size / (2 * float(slope)), size)


def random_cameras(
    n: int, rng: np.random.Generator, *, size: int, fov_degrees: float = FOV_DEGREES
) -> tuple[Camera, ...]:
    """Cameras all around the unit cube (centered at the origin, longest side 1), each seeing all of it.

    Each direction by itself is uniform on the sphere; together they are spread evenly (a spherical
    Fibonacci lattice, turned at random), so that few views leave little unseen.

    Raises:
        InputError: fewer than one camera, or as `look_at_center`.
    """
    if n < 1:
        raise InputError(f"expected at least one camera, found n = {n}")
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.arange(n) * _GOLDEN_ANGLE
    ring = np.sqrt(1 - z**2)
    lattice = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    directions = lattice @ _random_rotation(rng).T
    return tuple(look_at_center(direction, size=size, fov_degrees=fov_degrees) for direction in directions)


def _random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3) uniform over all rotations: a uniform unit quaternion."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
