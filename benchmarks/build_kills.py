"""kill -9 at random moments of a build with the raster renderer, then --resume: are the shards the same?

Moments are drawn over the whole build: while a process starts, while assets are made, and, as all are, while
the shards are put together.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Report, Row, arguments
from enpointe.data.build.build import WORK, build_shards
from enpointe.data.build.config import BuildConfig
from enpointe.data.sources.procedural import Procedural
from enpointe.render.renderers.raster import RasterRenderer

PER_SHARD = 16
POLL, LATEST = 0.02, 2.0
"""Seconds between two looks; and how long after a moment's asset the blow may fall."""


def build(out: Path, assets: int, size: int, workers: int) -> None:
    """Begin or resume it; what the processes that are killed do."""
    config = BuildConfig("raster", size=size)
    build_shards(
        Procedural(assets), out, RasterRenderer, config, workers=workers, resume=True, per_shard=PER_SHARD
    )  # fmt: skip


def child(out: Path, assets: int, size: int, workers: int) -> subprocess.Popen[bytes]:
    numbers = [str(number) for number in (assets, size, workers)]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.build_kills", "--child", str(out), *numbers])


def done(out: Path) -> int:
    """How many assets have an outcome."""
    return sum(1 for _ in out.glob(f"{WORK}/assets/*/*.json"))


def kill(process: subprocess.Popen[bytes], out: Path, after: int, delay: float) -> Row | None:
    """Kill the process so long after so many assets are done; what was done by then, None if it ended first."""
    start = time.perf_counter()
    while process.poll() is None and done(out) < after:
        time.sleep(POLL)
    time.sleep(delay)
    if process.poll() is not None:
        return None
    process.kill()
    process.wait()
    written = len(list(out.glob("shard-*.tar")))
    return {"assets done": done(out), "shards written": written, "seconds from its start": time.perf_counter() - start}


def hashes(out: Path) -> dict[str, str]:
    """Of every file, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--assets", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--child", nargs=4, metavar=("OUT", "ASSETS", "SIZE", "WORKERS"), help="only that build")
    options = parser.parse_args()
    if options.child:
        out, *numbers = options.child
        build(Path(out), *map(int, numbers))
        return
    report = Report("build_kills", options)
    assets, kills, size = (6, 2, 32) if options.quick else (options.assets, options.kills, options.size)
    draw = random.Random(0)
    moments = sorted(draw.randint(0, assets) for _ in range(kills))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        build(whole, assets, size, 1)
        for after in moments:
            row = kill(child(killed, assets, size, 2), killed, after, draw.uniform(0, LATEST))
            if row is not None:
                rows.append({"kill": len(rows) + 1, **row})
        build(killed, assets, size, 2)
        same = hashes(whole) == hashes(killed)
        shards = len(list(whole.glob("shard-*.tar")))
    report.table(f"{assets} objects, 20 views of {size} x {size}, {shards} shards", rows)
    report.table(
        "after the last resume", [{"kills": len(rows), "all files the same as of one worker never killed": same}]
    )
    if not options.quick:
        report.target("kills of a build that ends with the same bytes", len(rows) if same else 0, 20, "", at_least=True)
    report.save()


if __name__ == "__main__":
    main()
