"""The release's own way against ours, stage by stage, on the CPU and on the same weights.

The release's own way is float32, all attention weights in memory, 64 Heun steps and a dense grid of 128 (see `plain`);
ours is the preset fast, in the faster number format or the one that --dtype names. Weights that are not in the cache
are random ones of the true sizes, which take as long. Without --full our totals are counted up from single
evaluations as the release's always are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.common import Report, Row, arguments
from benchmarks.mesh_speed import compare_mesh
from benchmarks.speed import Compared, Turns, compare_points
from enpointe.checkpoints.registry import generator
from enpointe.core.device import keep_freed_memory
from enpointe.core.precision import NAMES, dtype_name, find_dtype
from enpointe.pipelines.families.point_e.presets import PRESETS

STAGES = ("base", "upsample", "mesh")
TARGETS = {"text to 4,096 points": 40, "mesh": 60}
"""How many times faster than the release's way ours is meant to be."""


def measure(
    models: Sequence[str], stages: Sequence[str], turns: Turns, *, full: bool = False, grid_size: int = 128
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    """Rows of the stages, totals of what is made of them, and the queries that interpolated grids took."""
    rows, totals, queries = [], [], dict[str, int]()
    for model in models:
        names = [name for name, stage in ((model, "base"), ("upsample", "upsample")) if stage in stages]
        parts = [compare_points(name, turns, model=model, full=full) for name in names]
        rows += [{"for": model, **part.to_json()} for part in parts]
        if len(parts) == 2:
            totals.append(_total(f"{' or '.join(generator(model).inputs)} to 4,096 points", parts))
    if "mesh" in stages:
        part, queries = compare_mesh(turns, grid_size=grid_size, full=full)
        rows.append({"for": "any", **part.to_json()})
        totals.append(_total("mesh", [part]))
    return rows, totals, queries


def _total(what: str, parts: Sequence[Compared]) -> dict[str, Any]:
    reference = sum(part.reference.seconds for part in parts)
    ours = sum(part.ran or part.ours.seconds for part in parts)
    times, target = reference / ours, TARGETS.get(what)
    return {
        "what": what, "reference_seconds": reference, "seconds": ours, "times": times,
        "target": target, "met": None if target is None else times >= target,
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--models", nargs="*", choices=list(PRESETS), default=["base40M-textvec", "base40M"], metavar="NAME",
        help=f"some of {', '.join(PRESETS)}, or none (default: base40M-textvec base40M)",
    )  # fmt: skip
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--evaluations", type=int, default=2, metavar="K", help="of each, of which the fastest counts")
    parser.add_argument(
        "--dtype", choices=("auto", *NAMES), default="auto", help="what ours computes in (default: the faster one)"
    )
    parser.add_argument("--full", action="store_true", help="also run our stages wholly")
    options = parser.parse_args()
    report = Report("released", options)
    keep_freed_memory()
    stages, models, k = (["mesh"], [], 1) if options.quick else (options.stages, options.models, options.evaluations)
    dtype = find_dtype(options.dtype, torch.device("cpu"))
    turns = Turns(k, dtype)
    rows, totals, queries = measure(models, stages, turns, full=options.full, grid_size=32 if options.quick else 128)
    flat: list[Row] = [
        {
            "for": row["for"],
            "stage": row["stage"],
            "way": way,
            "s each": row[way]["seconds_each"],
            "times": row[way]["units"],
            "s": row[way]["seconds"],
            "s run": row["ran"] if way == "ours" else None,
            "GFLOP/s": row[way]["gflops"],
            "of peak": row[way]["of_peak"],
            "faster": row["times"] if way == "ours" else None,
            "random weights": row["random_weights"],
        }
        for row in rows
        for way in ("reference", "ours")
    ]
    report.table("a unit is an evaluation, a guided pair where there is guidance, or a batch of queries", flat)
    report.table("ours computes in", [{"type": dtype_name(dtype)}])
    report.table("fastest products of matrices", [{"type": name, "GFLOP/s": peak} for name, peak in turns.peak.items()])
    if queries:
        report.table(
            "queries of an interpolated grid", [{"field": name, "queries": count} for name, count in queries.items()]
        )
    report.table("totals", totals)
    for total in totals:
        if total["target"]:
            report.target(total["what"], total["times"], total["target"], "times faster", at_least=True)
    report.save()


if __name__ == "__main__":
    main()
