"""Histograms of what the filters of `enpointe data build` look at, with their thresholds.

    enpointe data build --source kaykit --path DIR --out A --size 256
    python -m benchmarks.filters A B

An asset that was dropped counts with the figure that it was dropped for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.common import Report, arguments
from enpointe.data.build import filters
from enpointe.data.build.build import DROPS, build_shards, read_lines
from enpointe.data.build.config import BuildConfig, Thresholds
from enpointe.data.shards.descriptors import descriptor
from enpointe.data.shards.reader import read_shards
from enpointe.data.shards.store import Store
from enpointe.data.sources.procedural import Procedural
from enpointe.render.renderers.raster import RasterRenderer

PLOT = Path(__file__).resolve().parents[1] / "docs" / "filters.png"
TITLES = {
    "thickness": "thickness: deviation across the flattest plane",
    "coverage": "coverage: share of the pixels",
    "unseen": "unseen share of the surface",
    "distance": "distance to the nearest other descriptor",
}
THRESHOLDS = {"thickness": "flat", "coverage": "empty", "unseen": "unseen", "distance": "duplicate"}
LOGARITHMIC = ("thickness", "coverage", "distance")

REASONS = {
    filters.FLAT: "thickness",
    filters.EMPTY: "coverage",
    filters.UNSEEN: "unseen",
    filters.DUPLICATE: "distance",
}

Figures = Mapping[str, Sequence[tuple[float, str]]]
"""By name, the value of each asset of a set, with its key."""


def figures(place: Path) -> Figures:
    """Every figure of the records of a set, and of what was dropped the one that decided."""
    found: dict[str, list[tuple[float, str]]] = {name: [] for name in TITLES}
    rows, keys = [], []
    for record in read_shards(place, shuffle=False, weighted=False):
        for name, value in record.provenance["figures"].items():
            found[name].append((float(value), record.key))
        cloud = record.cloud()
        rows.append(descriptor(cloud.points, cloud.colors))
        keys.append(record.key)
    apart = cKDTree(np.stack(rows)).query(np.stack(rows), k=2)[0][:, 1]
    found["distance"] += zip(apart.tolist(), keys, strict=True)
    for entry in read_lines(Store(place), DROPS):
        found[REASONS[entry["reason"]]].append((float(entry["figure"]), str(entry["key"])))
    return found


def summary(sets: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Quantiles of each figure, how many assets each threshold drops, and the nearest to it on either side."""
    rows = []
    limits = asdict(Thresholds())
    for place, measured in sets.items():
        for name, pairs in measured.items():
            values, limit = np.array([value for value, _ in pairs]), limits[THRESHOLDS[name]]
            beyond = [pair for pair in pairs if (pair[0] > limit if name == "unseen" else pair[0] < limit)]
            within = [pair for pair in pairs if pair not in beyond]
            first, last = (min, max) if name == "unseen" else (max, min)
            low, middle, high = np.quantile(values, [0.01, 0.5, 0.99])
            rows.append(
                {
                    "set": place, "assets": len(values), "figure": name, "1 %": low, "median": middle, "99 %": high,
                    "threshold": limit, "beyond": len(beyond), "last dropped": _named(first(beyond, default=None)),
                    "first kept": _named(last(within, default=None)),
                }
            )  # fmt: skip
    return rows


def _named(pair: tuple[float, str] | None) -> str:
    return "none" if pair is None else f"{pair[1]} ({pair[0]:.4f})"


def plot(sets: Mapping[str, Figures], path: Path) -> None:
    """A histogram for each figure, the sets in colors, the threshold as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    limits = asdict(Thresholds())
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, TITLES.items(), strict=True):
        values = {place: np.array([value for value, _ in measured[name]]) for place, measured in sets.items()}
        everything = np.concatenate(list(values.values()))
        limit = limits[THRESHOLDS[name]]
        if name in LOGARITHMIC:
            low = max(min(everything.min(), limit), 1e-4)
            edges = np.geomspace(low * 0.8, everything.max() * 1.05, 40)
            axes.set_xscale("log")
        else:
            edges = np.linspace(0, max(everything.max(), limit) * 1.05, 40)
            axes.set_yscale("log")
        for place, found in values.items():
            axes.hist(found.clip(edges[0], edges[-1]), edges, alpha=0.6, label=place)
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
            config = BuildConfig("raster", views=4, size=64, points=256)
            build_shards(Procedural(4), places[-1], RasterRenderer, config)
        sets = {place.name: figures(place) for place in places}
    report.table("figures", summary(sets))
    if path := options.plot or (None if options.quick else PLOT):
        plot(sets, path)
    report.save()


if __name__ == "__main__":
    main()
