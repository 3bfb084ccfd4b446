"""The share of a training step that waits for data, by recipe and feed: drawn in the process, by workers, or resident.

Text features count as data. A resident feed is for tasks of clouds and captions; how long it takes to make is a column.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Report, Row, arguments
from benchmarks.train_step import RAW
from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.precision import find_dtype
from enpointe.data.datasets import open_dataset
from enpointe.data.pools import pool
from enpointe.training.clouds import CloudTask
from enpointe.training.compiling import Objective
from enpointe.training.feed.opening import open_feed
from enpointe.training.optimizers import build_optimizers, take_step
from enpointe.training.parallel import Group
from enpointe.training.precision import autocast
from enpointe.training.seeds import torch_generator
from enpointe.training.settings import Settings
from enpointe.training.speed import Speed
from enpointe.training.tasks import RECIPES


def measure(name: str, task: Any, settings: Settings[Any], device: torch.device, steps: int) -> Row:
    """Steps of the last phase, after as many that are not counted."""
    dtype, phase = find_dtype(settings.dtype, device), settings.phases[-1]
    network = task.network.to(device).train()
    began = time.perf_counter()
    feed = open_feed(task, settings, device, dtype, Group())
    made = time.perf_counter() - began
    objective = Objective(task, network, device, dtype=dtype, compiled=settings.compile, report=print)
    optimizers = build_optimizers(network, settings.optimizer, 1e-6, 0.0)
    speed, found = Speed(device), dict[str, float]()
    try:
        for step in range(2 * steps):
            started = time.perf_counter()
            with torch.no_grad(), autocast(device, dtype):
                with speed.waiting():
                    drawn = feed.batch(step, phase)
                batch = task.prepare(drawn, phase.examples, torch_generator(device, 0, step), training=True)
                speed.measure(task, network, batch, phase)
            objective(batch)
            take_step(network, optimizers, 1e-6, 1.0)
            if device.type == "cuda":
                torch.cuda.synchronize()
            speed.add(phase.batch, time.perf_counter() - started)
            if step in (steps - 1, 2 * steps - 1):
                found = speed.read()
    finally:
        feed.close()
    peak = found.get("share of peak")
    return {
        "recipe": name, "feed": settings.feed, "workers": settings.workers, "batch": phase.batch,
        "points": getattr(phase.examples, "n_points", None), "dtype": str(dtype).removeprefix("torch."),
        "seconds to make": made, "examples / s": found["examples/s"], "waiting %": 100 * found["waiting"],
        "GFLOP / s": 1e3 * found["TFLOP/s"], "% of peak": None if peak is None else 100 * peak,
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=16, help="timed steps of each kind")
    parser.add_argument("--recipes", nargs="+", choices=RAW, default=RAW)
    parser.add_argument("--clouds", type=int, default=400, help="objects of the pool")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw ahead, where there are any")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    report = Report("train_feed", options)
    keep_freed_memory()
    device, rows = find_device(options.device), list[Row]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.safetensors"
        pool.build(path, n_clouds=100 if options.quick else options.clouds, workers=options.cores)
        for name in options.recipes:
            recipe = RECIPES[name].changed(["batch=2"] if options.quick else [])
            for feed, workers in (("stream", 0), ("stream", options.workers), ("resident", 0)):
                task = recipe.make(open_dataset(path), Path(folder))
                if feed == "resident" and not isinstance(task, CloudTask):
                    continue
                changed = recipe.changed([f"feed={feed}", f"workers={workers}", "appearances=2"])
                settings = replace(changed.settings, compile=options.compile)
                rows.append(measure(name, task, settings, device, 1 if options.quick else options.steps))
    report.table(f"waiting for data on {device.type}", rows)
    report.save()


if __name__ == "__main__":
    main()
