"""Colored surface clouds of real 3D models, for pools.

Signed distances of real models are not offered: few of them are closed solids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.data.assets import Asset
from enpointe.data.visibility import DepthMaps, plan
from enpointe.io.assets.model import Model, sample_colors, solid_points, unit_frame


@dataclass(frozen=True)
class AssetCloud:
    """Points of the visible surface, in random order, evenly spread.

    Attributes:
        points: (n, 3) in the unit frame: centered, longest side 1, z up, front along -y.
        colors: (n, 3) sRGB in [0, 1].
        normals: (n, 3) unit, on the side from which the point is seen.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    normals: NDArray[np.float32]


def sample_asset(asset: Asset, n_points: int, rng: np.random.Generator) -> AssetCloud:
    """Load a model and sample `n_points` of what can be seen of its surface.

    Raises:
        InputError: the model cannot be read or has no surface, or `n_points` is not positive.
    """
    if n_points < 1:
        raise InputError(f"expected at least one point, found n_points = {n_points}")
    try:
        return sample_model(asset.load(), n_points, rng)
    except InputError as error:
        raise InputError(f"{asset.key}: {error}") from error


def sample_model(model: Model, n_points: int, rng: np.random.Generator) -> AssetCloud:
    """As `sample_asset`, of a model that is loaded.

    Raises:
        InputError: it has no surface.
    """
    triangles = unit_frame(model.triangles)
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    if not area.sum() > 0:
        raise InputError("expected a model with a surface, found one without area")
    radius = float(np.linalg.norm(triangles.reshape(-1, 3), axis=1).max())
    wanted, resolution = plan(float(area.sum()), radius)
    face, weights = scatter(area, max(wanted, int(2.5 * n_points)), rng)
    solid = solid_points(model, face, weights)
    if solid.any():
        face, weights = face[solid], weights[solid]
    points = np.einsum("nk,nkd->nd", weights, triangles[face]).astype(np.float32)
    normals = (cross[face] / (2 * area[face, None])).astype(np.float32)

    maps = DepthMaps.of(points, resolution)
    enough = min(len(points), int(2.5 * n_points))
    seen, towards = maps.visible(points[:enough], normals[:enough])
    if seen.sum() < n_points and enough < len(points):
        seen, towards = maps.visible(points, normals)
    pick = np.flatnonzero(seen)
    pick = pick[:n_points] if len(pick) >= n_points else np.concatenate([pick, rng.choice(pick, n_points - len(pick))])
    colors = sample_colors(model, face[pick], weights[pick])
    inward = np.einsum("nd,nd->n", normals[pick], towards[pick]) < 0
    outward = np.where(inward[:, None], -normals[pick], normals[pick])
    # Cut-outs and hidden parts do not count for the frame, hence once more.
    return AssetCloud(_centered(points[pick]), colors, outward)


def _centered(points: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = points.min(axis=0), points.max(axis=0)
    return ((points - (low + high) / 2) / max(float((high - low).max()), 1e-12)).astype(np.float32)


def scatter(
    area: NDArray[np.float64], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Faces (n,) and barycentric weights (n, 3), uniform in area, each area strip hit once; shuffled."""
    strips = (np.arange(n) + rng.random(n)) / n
    cumulative = np.cumsum(area)
    # Faces without area have no width here; the bound is for a strip that rounds to the very end.
    face = np.searchsorted(cumulative / cumulative[-1], strips, side="right").clip(0, np.flatnonzero(area)[-1])
    rng.shuffle(face)
    root, second = np.sqrt(rng.random(n)), rng.random(n)
    return face, np.stack([1 - root, root * (1 - second), root * second], axis=1)
