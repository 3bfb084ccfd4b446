"""Procedural clouds a second: sampled fresh, and drawn from a pool (painted, captioned), in 1 and 2 processes.

Clouds stay in the process that makes them, as in a data loader that shares memory.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from benchmarks.common import Report, Row, arguments
from benchmarks.objects import example
from enpointe.data.pools import pool
from enpointe.data.procedural.families import FAMILIES

Make = Callable[[int, np.random.Generator], object]


def sampler(_: Path, n_points: int) -> Make:
    """Builds an object, samples its visible surface, paints it and says what it is; the families in turn."""
    names = list(FAMILIES)
    return lambda i, rng: example(names[i % len(names)], n_points, rng)


def drawer(path: Path, n_points: int) -> Make:
    """Draws from a pool that is in memory."""
    objects = pool.read(path)

    def make(i: int, rng: np.random.Generator) -> object:
        return objects.draw(i % len(objects), n_points, rng)

    return make


WAYS: dict[str, Callable[[Path, int], Make]] = {"sampled fresh": sampler, "drawn from a pool": drawer}


def work(
    way: str, path: Path, n_points: int, count: int, worker: int, barrier: Barrier,
    spans: multiprocessing.Queue[tuple[float, float]],
) -> None:  # fmt: skip
    """One process: prepares, waits for the others, makes `count` clouds."""
    make = WAYS[way](path, n_points)
    rng = np.random.default_rng(worker)
    make(0, rng)
    barrier.wait()
    start = time.monotonic()
    for i in range(count):
        make(worker * count + i, rng)
    spans.put((start, time.monotonic()))


def rate(way: str, path: Path, n_points: int, count: int, processes: int) -> Row:
    """Clouds a second of all processes together, from the first one's start to the last one's end."""
    context = multiprocessing.get_context("spawn")
    barrier, spans = context.Barrier(processes, timeout=300), context.Queue()
    workers = [
        context.Process(target=work, args=(way, path, n_points, count, i, barrier, spans)) for i in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"{way}: a process failed")
    found = [spans.get() for _ in workers]
    seconds = max(end for _, end in found) - min(start for start, _ in found)
    clouds = count * processes
    return {
        "how": way, "points": n_points, "processes": processes, "clouds": clouds, "seconds": seconds,
        "clouds / s": clouds / seconds,
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clouds", type=int, default=4000, help="to draw; a tenth as many are sampled fresh")
    options = parser.parse_args()
    report = Report("data", options)
    clouds = 20 if options.quick else options.clouds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.safetensors"
        size = len(FAMILIES) if options.quick else 1200
        start = time.perf_counter()
        pool.build(path, n_clouds=size, n_points=512 if options.quick else 4096, workers=options.cores)
        seconds = time.perf_counter() - start
        report.table(
            "making a pool, with signed distances",
            [
                {
                    "clouds": size, "processes": options.cores, "seconds": seconds, "clouds / s": size / seconds,
                    "MB": path.stat().st_size / 1e6,
                }
            ],
        )  # fmt: skip
        counts = {"sampled fresh": max(2, clouds // 10), "drawn from a pool": clouds}
        rows = [
            rate(way, path, n_points, counts[way] // processes, processes)
            for way in WAYS
            for n_points in (4096, 256)
            for processes in (1, 2)
        ]
    report.table("colours and captions included", rows)
    if not options.quick:
        best = next(r for r in rows if r["how"] == "drawn from a pool" and r["points"] == 4096 and r["processes"] == 2)
        report.target(
            "4,096-point clouds drawn by 2 processes", float(best["clouds / s"]), 1000, "a second", at_least=True
        )
    report.save()


if __name__ == "__main__":
    main()
