"""Examples a second of each recipe's training step: its parts, with and without torch.compile, Muon and AdamW.

Steps with and without compile take turns. The first step, which compiles, is told apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmarks.common import Report, Row, arguments
from enpointe.core.device import find_device, keep_freed_memory
from enpointe.core.precision import find_dtype
from enpointe.data.datasets import open_dataset
from enpointe.data.pools import pool
from enpointe.nn.hidden import hidden_matrices
from enpointe.training.feed.streaming import StreamingFeed
from enpointe.training.optimizers import build_optimizers
from enpointe.training.precision import autocast
from enpointe.training.recipe import Recipe
from enpointe.training.seeds import torch_generator
from enpointe.training.settings import Phase
from enpointe.training.task import Batch, Task, TaskConfig
from enpointe.training.tasks import RECIPES

RAW = [
    name
    for name, recipe in RECIPES.items()
    if name.startswith("pocket-") and type(recipe.task).make_data is TaskConfig.make_data
]
"""The embedded family's recipes that learn from a pool as it is; the released networks': `released_training`."""


def optimizer_steps(
    network: nn.Module, recipe: Recipe[Any], steps: int, wait: Callable[[], None]
) -> dict[str, float | None]:
    """Median milliseconds of one update of all weights, by each optimizer; None for one that does not apply."""
    found: dict[str, float | None] = {"muon ms": None, "adamw ms": None}
    for name in ("muon", "adamw") if hidden_matrices(network) else ("adamw",):
        optimizers = build_optimizers(network, name, 1e-6, recipe.settings.weight_decay)
        seconds = []
        for _ in range(steps + 1):
            wait()
            start = time.perf_counter()
            for optimizer in optimizers:
                optimizer.step()
            wait()
            seconds.append(time.perf_counter() - start)
        found[f"{name} ms"] = median(seconds[1:]) * 1e3
    return found


def measure(
    name: str, task: Task[Any], phase: Phase[Any], steps: int, compiled: bool, device: torch.device
) -> list[Row]:
    """A row without compile, and one with it if asked for."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def learn(network: nn.Module, batch: Batch) -> None:
        with autocast(device, dtype):
            losses = task.losses(network, batch)
        task.network.zero_grad(set_to_none=True)
        losses.value.mean().backward()
        wait()

    recipe = RECIPES[name]
    dtype = find_dtype(recipe.settings.dtype, device)
    feed = StreamingFeed(task, seed=0, device=device, dtype=dtype)
    network = task.network.to(device).train()
    networks: dict[str, Any] = {"no": network}
    if compiled:
        networks["yes"] = torch.compile(network, dynamic=False)
    data: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(steps + 2):
        start = time.perf_counter()
        batch, generator = feed.batch(turn, phase), torch_generator(device, 0, turn)
        with torch.no_grad(), autocast(device, dtype):
            ready = task.prepare(batch, phase.examples, generator, training=True)
        wait()
        data.append(time.perf_counter() - start)
        for compiling, each in networks.items():
            start = time.perf_counter()
            learn(each, ready)
            seconds[compiling].append(time.perf_counter() - start)
    updates = optimizer_steps(network, recipe, steps, wait)
    update = (updates[f"{recipe.settings.optimizer} ms"] or 0) / 1e3
    made = median(data[2:])
    plain = median(seconds["no"][2:])
    return [
        {
            "recipe": name,
            "points": getattr(phase.examples, "n_points", None),
            "batch": phase.batch,
            "compile": compiling,
            "data ms": made * 1e3,
            "network ms": median(times[2:]) * 1e3,
            **updates,
            "examples / s": phase.batch / (made + median(times[2:]) + update),
            "faster": plain / median(times[2:]),
            "first step s": times[0],
        }
        for compiling, times in seconds.items()
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each kind")
    parser.add_argument("--recipes", nargs="+", choices=RAW, default=RAW)
    parser.add_argument("--no-compile", action="store_true", help="do not measure torch.compile")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    report = Report("train_step", options)
    keep_freed_memory()
    device = find_device(options.device)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.safetensors"
        n_points, n_clouds = (512, 1500) if options.quick else (4096, 1500)
        pool.build(path, n_clouds=n_clouds, n_points=n_points, workers=options.cores)
        objects = open_dataset(path)
    for name in options.recipes:
        recipe = RECIPES[name]
        for phase in recipe.settings.phases:
            if options.quick:
                phase = Phase(1.0, 4, replace(phase.examples, n_points=128))
            # A fresh network and compiler for each size, as a run that begins with it would have.
            torch.compiler.reset()
            steps = 1 if options.quick else options.steps
            task = recipe.make(objects, Path(folder))
            rows += measure(name, task, phase, steps, not (options.no_compile or options.quick), device)
    report.table(f"training steps on {device.type}, medians", rows)
    report.save()


if __name__ == "__main__":
    main()
