"""What a second worker brings to `enpointe data build --source procedural`: 1 and 2 workers in turns.

Everything is counted, from listing the source to the index. Where other work shares the machine only the CPU
seconds tell: what the driving process spends, and what a worker spends before its first model, nobody shares.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.common import Report, Row, arguments
from enpointe.data.build.build import build_shards
from enpointe.data.build.config import BuildConfig
from enpointe.data.sources.procedural import Procedural
from enpointe.render.renderers.raster import RasterRenderer


def build(workers: int, objects: int, config: BuildConfig) -> Row:
    """Seconds of one build, and CPU seconds of the driving process and of its workers."""
    folder = tempfile.mkdtemp()
    before = cpu()
    start = time.perf_counter()
    try:
        built = build_shards(Procedural(objects), Path(folder) / "out", RasterRenderer, config, workers=workers)
    finally:
        shutil.rmtree(folder)
    seconds = time.perf_counter() - start
    driver, made = (after - then for after, then in zip(cpu(), before, strict=True))
    return {
        "workers": workers, "objects": objects, "kept": built.index.counts["kept"], "seconds": seconds,
        "driver CPU s": driver, "workers' CPU s": made, "workers' CPU s an object": made / objects,
    }  # fmt: skip


def cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--objects", type=int, default=120)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    report = Report("build", options)
    config = BuildConfig("raster", size=64 if options.quick else options.size)
    objects, repeats = (3, 1) if options.quick else (options.objects, options.repeats)
    opening = min(float(build(1, 1, config)["workers' CPU s"]) for _ in range(repeats))
    rows = [build(workers, objects, config) for _ in range(repeats) for workers in (1, 2)]
    report.table("procedural objects, 20 views, from source to index", rows)
    one, two = (median(float(row["seconds"]) for row in rows if row["workers"] == n) for n in (1, 2))
    driver, made = (median(float(row[name]) for row in rows) for name in ("driver CPU s", "workers' CPU s"))
    # Of one build with one object nearly all is opening; the driver works beside the workers where cores are left.
    alone = driver + opening
    expected = (driver + made) / (alone + (made - opening) / 2)
    report.table(
        "1 worker / 2 workers",
        [{"by the clock": one / two, "a worker's opening, CPU s": opening, "driver, CPU s": driver,
          "by CPU seconds, if nothing overlaps": expected}],
    )  # fmt: skip
    if not options.quick:
        report.target("2 workers, times one", one / two, 1.85, "x", at_least=True)
    report.save()


if __name__ == "__main__":
    main()
