"""`enpointe bench`: the release's own way against ours, on this machine, on the same weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from enpointe.cli import options as opt
from enpointe.cli.progress import report
from enpointe.core.errors import InputError
from enpointe.pipelines.inputs import MODELS, check_model

if TYPE_CHECKING:
    from enpointe.evaluation.speed import Compared, Turns

STAGES = ("base", "upsample", "mesh")
TARGETS = {"text to 4,096 points": 40, "mesh": 60}
"""How many times faster than the release's way ours is meant to be."""


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "bench", help="time the release's own way against ours", allow_abbrev=False,
        description="Times the release's own way (float32, all attention weights in memory, 64 Heun steps, a dense "
        "grid of 128) against the preset fast, in turns, on the CPU. Weights that are not in the cache are random "
        "ones of the true sizes, which takes as long.",
    )  # fmt: skip
    parser.add_argument(
        "--model", default="base40M-textvec", metavar="NAME",
        help="a released model of texts, or none (default: base40M-textvec)",
    )  # fmt: skip
    parser.add_argument(
        "--image-model", default="base40M", metavar="NAME",
        help="a released model of pictures, or none (default: base40M)",
    )  # fmt: skip
    parser.add_argument(
        "--stages", default=",".join(STAGES), metavar="LIST", help=f"some of {', '.join(STAGES)} (default: all)"
    )
    parser.add_argument(
        "--evaluations", type=opt.whole(1, 100), default=2, metavar="K",
        help="evaluations of each network to time, of which the fastest counts (default: 2)",
    )  # fmt: skip
    parser.add_argument("--full", action="store_true", help="also run our stages wholly")
    opt.add_grid(parser)
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    stages = options.stages.split(",")
    if not set(stages) <= set(STAGES):
        raise InputError(f"argument --stages: expected some of {', '.join(STAGES)}, got {options.stages!r}")
    models = [
        _model(value, kind, option)
        for value, kind, option in (
            (options.model, "text", "--model"),
            (options.image_model, "picture", "--image-model"),
        )
        if value != "none"
    ]
    from enpointe.core.device import keep_freed_memory
    from enpointe.evaluation.speed import Turns

    keep_freed_memory()
    turns = Turns(options.evaluations)
    rows, totals, queries = measure(models, stages, turns, full=options.full, grid_size=options.grid)
    machine = {
        "machine": _machine(),
        "peak_gflops": turns.peak,
        "stages": rows,
        "totals": totals,
        "queries": queries,
    }
    report(_in_words(machine), machine, options.json)


def measure(
    models: Sequence[str], stages: Sequence[str], turns: Turns, *, full: bool = False, grid_size: int = 128
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    """Rows of the stages, totals of what is made of them, and the queries that interpolated grids took."""
    from enpointe.evaluation.mesh_speed import compare_mesh
    from enpointe.evaluation.speed import compare_points

    rows, totals, queries = [], [], dict[str, int]()
    for model in models:
        names = [name for name, stage in ((model, "base"), ("upsample", "upsample")) if stage in stages]
        parts = [compare_points(name, turns, model=model, full=full) for name in names]
        rows += [{"for": model, **part.to_json()} for part in parts]
        if len(parts) == 2:
            totals.append(_total(f"{MODELS[model]} to 4,096 points", parts))
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


def _model(name: str, takes: str, option: str) -> str:
    check_model(name)
    if name == "pocket" or MODELS[name] != takes:
        names = ", ".join(model for model, what in MODELS.items() if what == takes and model != "pocket")
        raise InputError(f"argument {option}: expected one of {names}, or none; got {name!r}")
    return name


def _machine() -> dict[str, Any]:
    import platform

    import torch

    return {
        "cpu": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
        "system": platform.platform(), "torch": torch.__version__,
    }  # fmt: skip


def _in_words(machine: dict[str, Any]) -> str:
    peak = machine["peak_gflops"]
    lines = [
        f"{machine['machine']['threads']} threads, {machine['machine']['cpu']}, PyTorch {machine['machine']['torch']}",
        f"fastest products of matrices: {peak['bfloat16']:.0f} GFLOP/s in bfloat16, {peak['float32']:.0f} in float32",
        "",
        f"{'stage':26}{'':10}{'s each':>9}{'times':>7}{'s':>9}{'GFLOP/s':>9}{'of peak':>9}",
    ]
    for row in machine["stages"]:
        for way in ("reference", "ours"):
            side = row[way]
            name = row["stage"] if way == "reference" else f"  {row['times']:.1f}x"
            lines.append(
                f"{name:26}{way:10}{side['seconds_each']:9.3f}{side['units']:7.1f}{side['seconds']:9.1f}"
                f"{side['gflops']:9.0f}{side['of_peak']:9.0%}"
            )
        if row["ran"] is not None:
            lines.append(f"{'':26}{'run':10}{'':16}{row['ran']:9.1f}")
    if machine["totals"]:
        lines.append("")
    for total in machine["totals"]:
        target = f" (target: {total['target']}x)" if total["target"] else ""
        lines.append(
            f"{total['what']}: {total['reference_seconds']:.0f} s the release's way, {total['seconds']:.1f} s ours, "
            f"{total['times']:.1f}x{target}"
        )
    if machine["queries"]:
        counts = ", ".join(f"{count:,} ({name})" for name, count in machine["queries"].items())
        lines += ["", f"queries of an interpolated grid: {counts}; the most are counted"]
    if any(row["random_weights"] for row in machine["stages"]):
        lines += [
            "",
            "The weights are random, of the true sizes: times are those of the released ones, clouds are not.",
        ]
    lines.append("Seconds of a stage are those of an evaluation times their number, but for those that were run.")
    return "\n".join(lines)
