"""Which solver at how many evaluations gives what 500 steps give: error, and distance between sets, over seeds.

A deterministic solver approximates one curve from noise to data, so that its end can be compared point by point with
that of 500 steps from the same noise. What counts is the distribution: the energy distance of a solver's sets to those
of 500 steps from other seeds, next to the same distance among these themselves, the seed-to-seed spread.
On a mixture of Gaussians, whose denoiser is exact, and on the embedded models.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.common import RESULTS, Report, Row, arguments
from benchmarks.problems import (
    BASE_PRESET,
    METHODS,
    RELEASE,
    Method,
    Problem,
    base_problem,
    mixture_problem,
    upsampler_problem,
)
from enpointe.core.device import keep_freed_memory

PLOT = Path(__file__).resolve().parents[1] / "docs" / "solvers.png"
INTERVAL = BASE_PRESET.interval
"""Noise levels of the rows that guide inside an interval only."""
BETTER = ("dpmpp", "unipc")
"""Methods that are tried in every way, the others in the plain one only."""
DEVIATIONS = 2
"""Above the mean of the seed-to-seed spread, up to which a method is within it."""
_FIRST = 3
"""Rows before those of the methods that are compared."""
MANY, FEW = [6, 7, 8, 10, 12, 16, 24, 32, 64], [8, 12, 16, 32]
"""Budgets of evaluations, of a denoiser that costs nothing and of a network."""
UNITS, MEASURED = ", model units", "measured"
EVALUATIONS = (4, 8, 16, 32, 64, 128, 256)
DISTANCES = tuple(mark * 10.0**power for power in (-3, -2, -1, 0, 1) for mark in (1, 2, 5))
"""Marks of the plot's axes."""
STYLES = {
    ("everywhere", "wide"): ":", ("everywhere", "narrow"): "--",
    ("interval", "wide"): "-.", ("interval", "narrow"): "-",
}  # fmt: skip


class Energy:
    """Energy distances of sets to fixed ones, in all channels (Szekely and Rizzo 2013); sets of equal points have 0."""

    def __init__(self, sets: Tensor) -> None:
        self.sets = sets.float()
        self.within = [_mean_distance(points, points) for points in self.sets]

    def __call__(self, ends: Tensor, pairs: list[tuple[int, int]]) -> list[float]:
        """Of ends (N, C, P), the i-th to the j-th fixed set."""
        ends = ends.float()
        own = [_mean_distance(points, points) for points in ends]
        squared = [2 * _mean_distance(ends[i], self.sets[j]) - own[i] - self.within[j] for i, j in pairs]
        return [max(value, 0.0) ** 0.5 for value in squared]


def _mean_distance(a: Tensor, b: Tensor) -> float:
    return float(torch.cdist(a.T, b.T, compute_mode="donot_use_mm_for_euclid_dist").double().mean())


def chamfer(a: Tensor, b: Tensor) -> float:
    """Mean distance from a point of either set (C, P) to the nearest of the other, x, y, z."""
    x, y = (points[:3].T.double().numpy() for points in (a, b))
    return float(cKDTree(y).query(x)[0].mean() + cKDTree(x).query(y)[0].mean()) / 2


def spacing(a: Tensor) -> float:
    """Mean distance of a set's (C, P) points to their nearest, x, y, z: noise that was left makes it larger."""
    points = a[:3].T.double().numpy()
    return float(cKDTree(points).query(points, k=2)[0][:, 1].mean())


def rows_of(problem: Problem, budgets: list[int], reference_steps: int) -> list[Row]:
    """Every method at every budget of steps; the better ones also guided inside `INTERVAL`, and on narrow levels.

    The first rows are the seed-to-seed spread, mean and standard deviation over pairs of seeds; the reference by
    another good solver, below which differences are rounding; and the release's own settings.
    """
    reference, _, _ = problem.solve(METHODS["dpmpp"], reference_steps)
    pairs, energy_to = problem.pairs(), Energy(reference)
    spread = energy_to(reference, pairs)
    limit = float(np.mean(spread) + DEVIATIONS * np.std(spread))

    def row(name: str, method: Method, steps: int, guided: str = "everywhere", levels: str = "wide") -> Row:
        interval = INTERVAL if guided == "interval" else (0.0, float("inf"))
        end, used, seconds = problem.solve(method, steps, interval, narrow=levels == "narrow")
        error = (end - reference).float()
        energy = float(np.mean(energy_to(end, pairs)))
        return {
            "solver": name, "guided": guided, "levels": levels, "steps": steps, "evaluations": used,
            "rms xyz": float(error[:, :3].pow(2).mean().sqrt()) if method.exact else None,
            "rms rgb": float(error[:, 3:].pow(2).mean().sqrt()) if method.exact else None,
            "chamfer, same seed": float(np.mean([chamfer(a, b) for a, b in zip(end, reference, strict=True)])),
            "spacing": float(np.mean([spacing(a) / spacing(b) for a, b in zip(end, reference, strict=True)])),
            "energy": energy, "within": energy <= limit, "seconds": seconds,
        }  # fmt: skip

    first: Row = {
        "solver": "seed to seed", "guided": "everywhere", "levels": "wide", "steps": reference_steps,
        "evaluations": None, "rms xyz": None, "rms rgb": None,
        "chamfer, same seed": float(np.mean([chamfer(reference[i], reference[j]) for i, j in pairs])),
        "spacing": 1.0, "energy": float(np.mean(spread)), "within": True, "seconds": None, "limit": limit,
    }  # fmt: skip
    ways = [(guided, levels) for guided in ("everywhere", "interval") for levels in ("wide", "narrow")]
    if problem.guidance == 1:
        ways = ways[:2]
    rows = [
        first,
        row("heun", METHODS["heun"], reference_steps // 2),
        row("release", RELEASE, min(64, reference_steps)),
    ]
    for guided, levels in ways:
        for name, method in METHODS.items():
            if (guided, levels) == ways[0] or name in BETTER:
                rows += [row(name, method, method.sampler.steps_within(budget), guided, levels) for budget in budgets]
    return rows


def fastest(rows: list[Row]) -> Row:
    """The method within the spread that takes the fewest evaluations."""
    there = [row for row in rows[_FIRST:] if row["within"]]
    row = min(there, key=lambda row: (row["evaluations"], row["energy"])) if there else rows[1]
    return {name: row[name] for name in ("solver", "guided", "levels", "steps", "evaluations", "energy", "spacing")}


def plot(tables: Mapping[str, list[Row]], path: Path) -> None:
    """Energy distance by evaluations, a line a method, and the spread as a band; written whole or not at all."""
    from matplotlib.figure import Figure

    columns = min(len(tables), 2)
    figure = Figure(figsize=(6.4 * columns, 4.6 * -(-len(tables) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(tables) // columns), columns, squeeze=False).ravel()
    for axes in panels[len(tables) :]:
        axes.set_axis_off()
    for axes, (title, rows) in zip(panels, tables.items(), strict=False):
        axes.axhspan(rows[0]["energy"], rows[0]["limit"], color="0.85", label="within")
        axes.plot(rows[2]["evaluations"], rows[2]["energy"], "k*", label="the release's own")
        lines = dict.fromkeys((row["solver"], row["guided"], row["levels"]) for row in rows[_FIRST:])
        for solver, guided, levels in lines:
            same = (solver, guided, levels)
            line = [row for row in rows[_FIRST:] if (row["solver"], row["guided"], row["levels"]) == same]
            axes.plot(
                [row["evaluations"] for row in line], [row["energy"] for row in line],
                marker="o", markersize=3, color=f"C{list(METHODS).index(solver)}", linestyle=STYLES[guided, levels],
                label=", ".join([solver, *[levels] * (levels != "wide"), *[guided] * (guided != "everywhere")]),
            )  # fmt: skip
        axes.set(title=title, xlabel="evaluations a sample (a guided pair is two)", ylabel="energy distance")
        axes.set(xscale="log", yscale="log")
        for axis, marks in ((axes.xaxis, EVALUATIONS), (axes.yaxis, DISTANCES)):
            low, high = axis.get_view_interval()
            axis.set_ticks([mark for mark in marks if low <= mark <= high])
            axis.set_ticks([], minor=True)
            axis.set_major_formatter("{x:g}")
        axes.legend(fontsize=7, ncols=2)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)


def earlier(options: argparse.Namespace, titles: list[str]) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Tables of these titles in the results file, and when each was measured."""
    path = (options.results or RESULTS) / "solvers.json"
    if options.quick or not path.is_file():
        return {}, {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    dates = {row["of"]: row["date"] for row in document["tables"].get(MEASURED, [])}
    found = {title: document["tables"].get(title + UNITS, []) for title in titles}
    whole = {title: rows for title, rows in found.items() if title in dates and len(rows) > _FIRST}
    return whole, {title: dates[title] for title in whole}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--evaluations", type=int, nargs="+", metavar="N", help="default: 6 to 64; embedded 8 to 32")
    parser.add_argument("--reference", type=int, metavar="STEPS", help="default: 500; of embedded models 200")
    parser.add_argument("--prompts", type=int, default=2, metavar="N", help="of the embedded base stage")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of every prompt; at least 2")
    parser.add_argument(
        "--only", choices=("mixture", "base", "upsampler"), help="some of the problems; of the others keep the results"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="default: docs/solvers.png; with --quick none")
    options: argparse.Namespace = parser.parse_args()
    report = Report("solvers", options)
    keep_freed_memory()
    prompts, seeds = (1, 2) if options.quick else (options.prompts, options.seeds)
    n = 200 if options.quick else 1000
    problems: dict[str, Callable[[], Problem]] = {
        "mixture of Gaussians, exact denoiser, guided": lambda: mixture_problem(n, seeds + 1, 3.0),
        "mixture of Gaussians, exact denoiser": lambda: mixture_problem(n, seeds + 1, 1.0),
        "embedded base": lambda: base_problem(prompts, seeds),
        "embedded upsampler": lambda: upsampler_problem(seeds),
    }
    kept, dates = earlier(options, [title for title in problems if options.only and options.only not in title])
    tables: dict[str, list[Row]] = {}
    for title, make in problems.items():
        if title in kept:
            tables[title] = report.tables[title + UNITS] = kept[title]
        if options.only and options.only not in title:
            continue
        problem = make()
        exact = problem.start.dtype == torch.float64
        budgets = options.evaluations or (MANY if exact else FEW)
        steps = options.reference or (500 if exact else 200)
        if options.quick:
            budgets, steps = [2, 4], 8
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not exact):
            tables[title] = rows_of(problem, budgets, steps)
        dates[title] = datetime.now(UTC).isoformat(timespec="seconds")
        report.table(title + UNITS, tables[title])
    report.table("fewest evaluations within the spread", [{"of": t, **fastest(rows)} for t, rows in tables.items()])
    report.table(MEASURED, [{"of": title, "date": dates[title]} for title in tables])
    path = options.plot or (None if options.quick else PLOT)
    if path is not None:
        plot(tables, path)
    report.save()


if __name__ == "__main__":
    main()
