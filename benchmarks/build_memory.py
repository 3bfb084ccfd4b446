"""Whether a long build's memory stays flat: resident memory of the driving process and of a worker, over the assets.

The images are few and small, so that ten thousand assets take minutes: what would grow does so with the number
of assets, not with their size.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.common import Report, Row, arguments
from enpointe.core.progress import Progress
from enpointe.data.build.build import build_shards
from enpointe.data.build.config import BuildConfig
from enpointe.data.sources.procedural import Procedural
from enpointe.render.renderers.raster import RasterRenderer

ROWS = 20


def resident(process: int) -> float:
    """Resident memory in MB (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Watch:
    """Notes the memory every so many assets; it is called after each."""

    every: int
    start: float = field(default_factory=time.perf_counter)
    rows: list[Row] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        if progress.done % self.every and progress.done != progress.total:
            return
        workers = [resident(child.pid) for child in multiprocessing.active_children() if child.pid]
        row = {"assets": progress.done, "driver MB": resident(os.getpid()), "worker MB": max(workers, default=None)}
        self.rows.append({**row, "seconds": time.perf_counter() - self.start})


def growth(rows: list[Row], name: str) -> float:
    """MB a thousand assets, by a line through all rows but the first quarter, when caches fill."""
    late = [row for row in rows[len(rows) // 4 :] if row[name] is not None]
    return float(np.polyfit([row["assets"] for row in late], [row[name] for row in late], 1)[0] * 1000)


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(cores=1)
    parser.add_argument("--assets", type=int, default=10_000)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--size", type=int, default=64, help="pixels along a side")
    parser.add_argument("--points", type=int, default=1024)
    options = parser.parse_args()
    report = Report("build_memory", options)
    config = BuildConfig("raster", views=options.views, size=options.size, points=options.points)
    assets = ROWS if options.quick else options.assets
    watch = Watch(max(1, assets // ROWS))
    with tempfile.TemporaryDirectory() as folder:
        built = build_shards(Procedural(assets), Path(folder) / "out", RasterRenderer, config, progress=watch)
        watch(Progress("models", assets, assets))
    how = f"{options.views} views of {options.size} x {options.size}, {options.points} points"
    report.table(f"resident memory, {how}; the last row after the index", watch.rows)
    made = watch.rows[:-1]
    slopes = {name: growth(made, f"{name} MB") for name in ("driver", "worker")}
    report.table("MB a thousand assets, first quarter left out", [{**slopes, "kept": built.index.counts["kept"]}])
    if not options.quick:
        for name, slope in slopes.items():
            report.target(f"{name}: growth a thousand assets", slope, 1, "MB")
    report.save()


if __name__ == "__main__":
    main()
