"""Training steps of the released networks at their true sizes, with random weights: processor time and peak memory.

Each in a fresh process: weights, gradients, AdamW's moments and the average in float32, two steps of a small batch as
the recipe takes them, of which the second is timed. A step of the paper's batch takes so many times the time and, with
microbatches of this size, the same memory. Conditions are random numbers: CLIP's own time and memory (1.7 GB) come on
top, and so do data. base1B does not fit in 23 GB unless --low-rank says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from benchmarks.common import Report, Row, arguments, run_child

NAMES = (
    "base40M-textvec", "base40M-imagevec", "base40M-uncond", "base40M", "base300M", "base1B", "upsample", "sdf",
)  # fmt: skip


def step(name: str, batch: int, low_rank: int | None) -> None:
    """Two steps in this process; prints what they took as JSON."""
    import torch

    from benchmarks.speed import conditions_of
    from enpointe.checkpoints.adapters import IMAGE
    from enpointe.checkpoints.released import RELEASED
    from enpointe.core.device import keep_freed_memory
    from enpointe.core.precision import dtype_name, fast_dtype
    from enpointe.training.compiling import Objective
    from enpointe.training.ema import EMA
    from enpointe.training.low_rank import add_low_rank
    from enpointe.training.optimizers import build_optimizers, take_step
    from enpointe.training.tasks import RECIPES

    keep_freed_memory()
    device, recipe = torch.device("cpu"), RECIPES[f"point-e-{name.lower()}"]
    config, data = recipe.task, {}
    if name == "sdf":
        data = {"points": torch.rand(batch, 3, 4096), "queries": torch.rand(batch, 3, 512)}
        data["distances"] = torch.rand(batch, 512)
    else:
        sizes = SimpleNamespace(tokenizer=None, max_tokens=77, image_size=224)
        config = replace(config, load_clip=lambda _: sizes)
        cond, x0 = conditions_of(name, image=True, n=batch), torch.randn(batch, 6, RELEASED[name].n_points)
        data = {"x0": x0, "noise": torch.randn_like(x0), "index": torch.randint(1024, (batch,))}
        data |= {key: cond[key] for key in ("vector", "low_res") if key in cond}
        data |= {"grid": cond["grids"][IMAGE]} if "grids" in cond else {}
    task = config.build(None, Path(), seed=0)
    network = task.network.train()
    if low_rank is not None:
        add_low_rank(network, low_rank)
    average, dtype = EMA(network, recipe.settings.ema), fast_dtype(device)
    optimizers = build_optimizers(network, "adamw", 1e-6, 0.0)
    objective = Objective(task, network, device, dtype=dtype, compiled=False, report=print)
    for _ in range(2):
        start = time.process_time()
        objective(data)
        take_step(network, optimizers, 1e-6, recipe.settings.clip)
        average.update(network)
        seconds = time.process_time() - start
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    print(json.dumps({"learned": parameters, "seconds": seconds, "dtype": dtype_name(dtype)}))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--recipes", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME")
    parser.add_argument("--batch", type=int, default=4, metavar="N")
    parser.add_argument("--low-rank", type=int, metavar="RANK", help="factors of this rank only (needs peft)")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        step(options.one, options.batch, options.low_rank)
        return
    report = Report("released_training", options)
    rows: list[Row] = []
    more = [] if options.low_rank is None else ["--low-rank", str(options.low_rank)]
    for name in ("sdf",) if options.quick else options.recipes:
        size = ["--batch", str(1 if options.quick else options.batch)]
        child = run_child([sys.executable, "-m", "benchmarks.released_training", "--one", name, *size, *more])
        found = json.loads(child.stdout.splitlines()[-1])
        rows.append(
            {
                "recipe": f"point-e-{name.lower()}", "low rank": options.low_rank, "learned": found["learned"],
                "batch": int(size[1]), "dtype": found["dtype"], "core s a step": round(found["seconds"], 2),
                "peak GB": round(child.peak / 1e9, 2),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    report.table("training steps", rows)
    report.save()


if __name__ == "__main__":
    main()
