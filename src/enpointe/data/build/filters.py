"""Which assets are not worth learning from: flat, nearly empty, mostly unseen; duplicates are found in `descriptors`.

Every verdict carries the figure that it was read from. The thresholds are those of docs/data.md, where the
histograms are that they were chosen by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from enpointe.data.asset_clouds import scatter
from enpointe.data.build.config import Thresholds
from enpointe.io.assets.model import Model, solid_points
from enpointe.render.view import View

FLAT, EMPTY, UNSEEN, DUPLICATE = "flat", "nearly empty", "mostly unseen", "duplicate"
_SURFACE_SAMPLES = 2000
_REACH, _LEAST_REACH = 2.5, 0.005
"""A place of the surface counts as seen if a point lies within this many of the cloud's spacings, or so far."""


@dataclass(frozen=True)
class Figures:
    """What is measured of an asset.

    Attributes:
        thickness: see `thickness`; None where there is no cloud.
        coverage: see `coverage`.
        unseen: see `unseen_share`; None where the surface is not known.
    """

    coverage: float
    thickness: float | None = None
    unseen: float | None = None

    def rounded(self) -> dict[str, float | None]:
        """By name, to six digits after the point."""
        return {name: None if value is None else round(value, 6) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Verdict:
    """Why an asset is dropped: the reason, its figure, and the threshold which that missed.

    `detail` adds to it: of a duplicate, the asset that it duplicates.
    """

    reason: str
    figure: float
    threshold: float
    detail: str = ""


def judge(figures: Figures, thresholds: Thresholds) -> Verdict | None:
    """The first reason to drop an asset, or None."""
    if figures.coverage < thresholds.empty or figures.thickness is None:
        return Verdict(EMPTY, figures.coverage, thresholds.empty)
    if figures.thickness < thresholds.flat:
        return Verdict(FLAT, figures.thickness, thresholds.flat)
    if figures.unseen is not None and figures.unseen > thresholds.unseen:
        return Verdict(UNSEEN, figures.unseen, thresholds.unseen)
    return None


def thickness(points: NDArray[np.floating]) -> float:
    """Standard deviation of points (n, 3) across the plane that they lie closest to, in their unit.

    It is the smallest singular value of the centered cloud over the root of n: 0 for a sheet, half of what a
    thin plate measures, 0.37 of a cube's side. (arXiv 2212.08751, section 4.1, filters by that
    singular value.)
    """
    centered = points - points.mean(axis=0, dtype=np.float64)
    smallest = np.linalg.eigvalsh(centered.T @ centered / len(points))[0]
    return float(np.sqrt(max(smallest, 0.0)))


def coverage(views: Sequence[View]) -> float:
    """Mean share of the pixels that the object covers by half or more."""
    return float(np.mean([(view.color[..., 3] >= 128).mean() for view in views]))


def unseen_share(model: Model, points: NDArray[np.floating], rng: np.random.Generator) -> float:
    """Share of a model's surface, in the same frame as the cloud's points (n, 3), that is in none of them.

    The inner side of a thin wall passes as seen with its outer side.
    """
    triangles = model.triangles
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    if not area.sum() > 0:
        return 0.0
    face, weights = scatter(area, _SURFACE_SAMPLES, rng)
    solid = solid_points(model, face, weights)
    if not solid.any():
        return 0.0
    surface = np.einsum("nk,nkd->nd", weights[solid], triangles[face[solid]])
    places = np.unique(points, axis=0)  # an object that is seen in few pixels has points that are repeated
    tree = cKDTree(places)
    spacing = float(np.median(tree.query(places, k=2)[0][:, -1])) if len(places) > 1 else 0.0
    distance = tree.query(surface)[0]
    return float((distance > max(_REACH * spacing, _LEAST_REACH)).mean())
