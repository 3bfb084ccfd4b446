"""Histograms of what the filters of `enpointe data build` look at, with their thresholds.

First build sets in which nothing is dropped, then give their folders:

    enpointe data build --source kaykit --path DIR --out A --size 256 --flat 0 --empty 0 --unseen 1 --duplicate 0
    python -m benchmarks.filters A B
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.common import Report, arguments
from enpointe.datagen.build import build_shards
from enpointe.datagen.descriptors import descriptor
from enpointe.datagen.filters import Thresholds
from enpointe.datagen.maker import Recipe
from enpointe.datagen.procedural_source import Procedural
from enpointe.datagen.raster import RasterRenderer
from enpointe.datagen.shard_reader import read_shards

PLOT = Path(__file__).resolve().parents[1] / "docs" / "filters.png"
OFF = Thresholds(flat=0.0, empty=0.0, unseen=1.0, duplicate=0.0)
TITLES = {
    "thickness": "thickness: deviation across the flattest plane",
    "coverage": "coverage: share of the pixels",
    "unseen": "unseen share of the surface",
    "distance": "distance to the nearest other descriptor",
}
THRESHOLDS = {"thickness": "flat", "coverage": "empty", "unseen": "unseen", "distance": "duplicate"}
LOGARITHMIC = ("thickness", "coverage", "distance")

Figures = Mapping[str, NDArray[np.float64]]


def figures(place: Path) -> tuple[Figures, list[str]]:
    """Every figure (n,) of the records of a set, and their keys."""
    found: dict[str, list[float]] = {name: [] for name in ("thickness", "coverage", "unseen")}
    rows, keys = [], []
    for record in read_shards(place, shuffle=False, weighted=False):
        measured = record.provenance["figures"]
        for name, values in found.items():
            values.append(float(measured[name]))
        cloud = record.cloud()
        rows.append(descriptor(cloud.points, cloud.colors))
        keys.append(record.key)
    apart = cKDTree(np.stack(rows)).query(np.stack(rows), k=2)[0][:, 1]
    return {**{name: np.array(values) for name, values in found.items()}, "distance": apart}, keys


def summary(sets: Mapping[str, tuple[Figures, list[str]]]) -> list[dict[str, Any]]:
    """Quantiles of each figure, how many records each threshold drops, and the one that is nearest to it."""
    rows = []
    limits = asdict(Thresholds())
    for place, (measured, keys) in sets.items():
        for name, values in measured.items():
            limit = limits[THRESHOLDS[name]]
            missed = values > limit if name == "unseen" else values < limit
            marginal = int(np.abs(np.log((values + 1e-6) / (limit + 1e-6))).argmin())
            low, middle, high = np.quantile(values, [0.01, 0.5, 0.99])
            rows.append(
                {
                    "set": place, "records": len(values), "figure": name, "1 %": low, "median": middle, "99 %": high,
                    "threshold": limit, "beyond": int(missed.sum()),
                    "nearest": f"{keys[marginal]} ({values[marginal]:.4f})",
                }
            )  # fmt: skip
    return rows


def plot(sets: Mapping[str, tuple[Figures, list[str]]], path: Path) -> None:
    """A histogram for each figure, the sets in colours, the threshold as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    limits = asdict(Thresholds())
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, TITLES.items(), strict=True):
        everything = np.concatenate([measured[name] for measured, _ in sets.values()])
        limit = limits[THRESHOLDS[name]]
        if name in LOGARITHMIC:
            low = max(min(everything.min(), limit), 1e-4)
            edges = np.geomspace(low * 0.8, everything.max() * 1.05, 40)
            axes.set_xscale("log")
        else:
            edges = np.linspace(0, max(everything.max(), limit) * 1.05, 40)
            axes.set_yscale("log")
        for place, (measured, _) in sets.items():
            axes.hist(measured[name].clip(edges[0], edges[-1]), edges, alpha=0.6, label=place)
        axes.axvline(limit, color="black", linestyle="--", linewidth=1)
        axes.set_title(f"{title}; dropped {'above' if name == 'unseen' else 'below'} {limit:g}", fontsize=9)
    figure.axes[0].legend(fontsize=8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    figure.savefig(temporary, format="png", dpi=100)
    os.replace(temporary, path)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("shards", nargs="*", type=Path, metavar="SHARDS", help="folders; with --quick a tiny one")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="default: docs/filters.png; with --quick none")
    options = parser.parse_args()
    if not options.shards and not options.quick:
        parser.error("expected folders of shards")
    report = Report("filters", options)
    with tempfile.TemporaryDirectory() as folder:
        places = list(options.shards)
        if options.quick:
            places.append(Path(folder) / "procedural")
            recipe = Recipe("raster", views=4, size=64, points=256, thresholds=OFF)
            build_shards(Procedural(4), places[-1], RasterRenderer, recipe)
        sets = {place.name: figures(place) for place in places}
    report.table("figures", summary(sets))
    if path := options.plot or (None if options.quick else PLOT):
        plot(sets, path)
    report.save()


if __name__ == "__main__":
    main()
