"""CPU seconds to sample a real model for a pool, and how well depth maps tell what can be seen of it.

python -m benchmarks.pool_models --source folder=DIR --source kaykit=DIR [--sheet FILE.png]

Truth is ray casting against the triangles, from each point in all of the maps' directions; models with cut-out
textures, of which rays know nothing, are timed but not compared.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.common import Report, Row, arguments
from enpointe.data.asset_clouds import sample_model, scatter
from enpointe.data.assets import Asset
from enpointe.data.sources import open_source
from enpointe.data.visibility import DENSITY, RESOLUTION, SAMPLES, DepthMaps, plan, view_directions
from enpointe.io.assets.limits import CLOUD_LIMITS
from enpointe.io.assets.model import SOLID, Model, sample_colors, unit_frame
from enpointe.io.png import save_image
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.splats import splat

POINTS = 2048
DEEP = 0.02, 0.04
"""Distances from all that is seen, of the longest side, beyond which a hidden point counts."""
SHOWN = 8


@dataclass(frozen=True)
class Setting:
    """Pixels along a map's side, samples a pixel of surface, and how many samples at least and at most."""

    pixels: int
    density: float
    samples: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.pixels} pixels, {self.density:g} a pixel, {self.samples[0]:,} to {self.samples[1]:,} samples"


NOW = Setting(RESOLUTION, DENSITY, SAMPLES)
SETTINGS = (
    Setting(160, 2, (20_000, 100_000)), NOW, Setting(128, 1.25, (10_000, 40_000)), Setting(96, 1.25, (6_000, 20_000)),
    Setting(72, 2, (5_000, 14_000)),
)  # fmt: skip


@dataclass(frozen=True)
class Surface:
    """Triangles (f, 3, 3) in the unit frame, their normals (f, 3) and areas (f,)."""

    model: Model
    triangles: NDArray[np.float64]
    normals: NDArray[np.float64]
    area: NDArray[np.float64]

    @classmethod
    def of(cls, model: Model) -> Surface:
        triangles = unit_frame(model.triangles)
        cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        twice = np.linalg.norm(cross, axis=1)
        return cls(model, triangles, cross / np.maximum(twice, 1e-300)[:, None], twice / 2)

    def points(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
        """Points, normals and colors, (n, 3) each."""
        face, weights = scatter(self.area, n, rng)
        return (
            np.einsum("nk,nkd->nd", weights, self.triangles[face]), self.normals[face],
            sample_colors(self.model, face, weights),
        )  # fmt: skip


def seen_by_rays(surface: Surface, points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points see the outside in one of the maps' directions at least."""
    from trimesh import Trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    corners = surface.triangles.reshape(-1, 3)
    rays = RayMeshIntersector(Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False))
    seen = np.zeros(len(points), bool)
    for direction in np.concatenate([view_directions(), -view_directions()]):
        left = np.flatnonzero(~seen)
        side = np.where(normals[left] @ direction < 0, -1, 1)[:, None]
        start = points[left] + 1e-4 * (side * normals[left] + direction)
        seen[left] |= ~rays.intersects_any(start, np.broadcast_to(direction, start.shape))
    return seen


def seen_by_maps(
    surface: Surface, setting: Setting, points: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.bool_]:
    radius = float(np.linalg.norm(surface.triangles.reshape(-1, 3), axis=1).max())
    wanted, resolution = plan(float(surface.area.sum()), radius, setting.pixels, setting.density, setting.samples)
    dense, _, _ = surface.points(max(wanted, int(2.5 * POINTS)), np.random.default_rng(0))
    maps = DepthMaps.of(np.concatenate([dense, points]), resolution)  # with them, as they have to be in the sphere
    return maps.visible(points, normals)[0]


def compare(models: Sequence[Model]) -> list[Row]:
    """Each setting against rays, means over models."""
    found: dict[str, list[tuple[float, ...]]] = {setting.name: [] for setting in SETTINGS}
    for model in models:
        surface = Surface.of(model)
        points, normals, _ = surface.points(1500, np.random.default_rng(5))
        true = seen_by_rays(surface, points, normals)
        many, turned, _ = surface.points(20_000, np.random.default_rng(9))
        distance, _ = cKDTree(many[seen_by_rays(surface, many, turned)]).query(points)
        for setting in SETTINGS:
            start = time.process_time()
            seen = seen_by_maps(surface, setting, points, normals)
            seconds = time.process_time() - start
            wrong = seen & ~true
            found[setting.name].append(
                (
                    seconds,
                    *(float((wrong & (distance > deep)).sum() / max(seen.sum(), 1)) for deep in (0, *DEEP)),
                    float((true & ~seen).sum() / max(true.sum(), 1)),
                )
            )
    columns = (
        "CPU s", "hidden among drawn, %", *(f"more than {deep:.0%} deep, %" for deep in DEEP), "seen but not drawn, %",
    )  # fmt: skip
    rows: list[Row] = []
    for name, values in found.items():
        means = np.mean(values, axis=0) * [1, 100, 100, 100, 100]
        rows.append({"maps": name, **dict(zip(columns, means.round(4).tolist(), strict=True))})
    return rows


def save_sheet(models: Sequence[Model], path: Path) -> None:
    """A line of clouds for each setting, and one of all that rays see."""
    images, captions = [], []
    for setting in (*SETTINGS, None):
        for number, model in enumerate(models):
            surface = Surface.of(model)
            points, normals, colors = surface.points(3 * POINTS, np.random.default_rng(1))
            if setting is None:
                seen = seen_by_rays(surface, points, normals)
            else:
                seen = seen_by_maps(surface, setting, points, normals)
            pick = np.flatnonzero(seen)[:POINTS]
            images.append(splat(points[pick].astype(np.float32), colors[pick], 35 - 70 * (number % 2), 20, 200))
            captions.append("rays" if setting is None else f"{setting.pixels} px, {setting.density:g}")
    save_image(contact_sheet(images, captions, columns=len(models)), path)


def cut_out(model: Model) -> bool:
    return any(one.texture is not None and bool((one.texture[..., 3] < SOLID).any()) for one in model.materials)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--source", action="append", required=True, metavar="NAME[=DIR]", help="may be repeated")
    parser.add_argument("--models", type=int, default=100, metavar="N", help="spread evenly over all that there are")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also an image of some of the clouds")
    options = parser.parse_args()
    options.cores = 1
    report = Report("pool_models", options)
    assets: list[Asset] = []
    for place in options.source:
        name, _, folder = place.partition("=")
        assets += open_source(name, Path(folder) if folder else None, limits=CLOUD_LIMITS)
    count = min(len(assets), 3 if options.quick else options.models)
    chosen = [assets[int(i)] for i in np.linspace(0, len(assets) - 1, count)]
    times, models = [], []
    for asset in chosen:
        start = time.process_time()
        model = asset.load()
        loaded = time.process_time()
        sample_model(model, POINTS, np.random.default_rng(0))
        times.append((loaded - start, time.process_time() - loaded))
        models.append(model)
    load, sample = np.mean(times, axis=0).round(4).tolist()
    report.table(f"a model of {len(models)}, {POINTS} points, mean CPU seconds", [{"loaded": load, "sampled": sample}])
    plain = [model for model in models if not cut_out(model)]
    report.table(f"what is seen, mean of {len(plain)} models", compare(plain))
    if options.sheet is not None:
        save_sheet([plain[int(i)] for i in np.linspace(0, len(plain) - 1, min(SHOWN, len(plain)))], options.sheet)
    report.save()


if __name__ == "__main__":
    main()
