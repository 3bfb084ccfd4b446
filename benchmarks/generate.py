"""The whole command `enpointe generate` in fresh processes, files in the disk cache, and later clouds of one process.

Wall seconds are from the start of the process to its end, with all files written; peak memory is what
the system counted as resident. The cloud alone with --no-mesh, then the same with a mesh.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.common import Child, Report, Row, arguments, enpointe_command, run_child, spread

PROMPT = "a pink motorcycle"
STAGES = ("load", "cloud", "upsample", "mesh")


@dataclass(frozen=True)
class Run:
    """One run of the command, and the seconds of its stages by its own account."""

    child: Child
    stages: dict[str, float]

    @classmethod
    def of(cls, settings: Sequence[str]) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            child = run_child([*enpointe_command(), "generate", *settings, "--json", "--out", str(out), PROMPT])
            return cls(child, json.loads((out / "meta.json").read_text())["seconds"])


def measure(variants: Mapping[str, Sequence[str]], repeats: int) -> dict[str, list[Run]]:
    """Runs of every variant, in turns; one more of each before fills the disk cache."""
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for turn in range(repeats + 1):
        for name, settings in variants.items():
            run = Run.of(settings)
            if turn:
                runs[name].append(run)
    return runs


def whole(name: str, settings: Sequence[str], runs: Sequence[Run]) -> Row:
    """The command as its user sees it."""
    children = [run.child for run in runs]
    return {
        "variant": name,
        **spread([child.seconds for child in children]),
        "CPU s": median(child.user + child.system for child in children),
        "peak MB": round(max(child.peak for child in children) / 1e6),
        "options": " ".join(settings),
    }


def stages(name: str, runs: Sequence[Run]) -> Row:
    """Medians of the stages; what is left is the start of Python, the imports, the prompt's check and the files."""
    named = {stage: median(run.stages.get(stage, 0.0) for run in runs) for stage in STAGES}
    rest = median(run.child.seconds - sum(run.stages.values()) for run in runs)
    return {"variant": name, **named, "the rest": rest}


def later_clouds(points: int, grid: int, steps: int | None, repeats: int) -> list[Row]:
    """First, second and third cloud of one process."""
    extra = [] if steps is None else ["--steps", str(steps)]
    command = [sys.executable, "-m", "benchmarks.in_process", "--points", str(points), "--grid", str(grid), *extra]
    results = [json.loads(run_child(command).stdout) for _ in range(repeats)]
    return [
        {"what": f"{what} {i + 1}", **spread([result[kind][i] for result in results])}
        for what, kind in (("cloud", "clouds"), ("mesh", "meshes"))
        for i in range(len(results[0][kind]))
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--grid", type=int, default=128)
    options = parser.parse_args()
    steps, repeats = (2, 1) if options.quick else (None, options.repeats)
    points, grid = (256, 16) if options.quick else (options.points, options.grid)
    report = Report("generate", options)
    common = ["--points", str(points)] + ([] if steps is None else ["--steps", str(steps)])
    variants = {"no mesh": [*common, "--no-mesh"], "mesh": [*common, "--grid", str(grid)]}
    runs = measure(variants, repeats)
    report.table("fresh process, whole command", [whole(name, variants[name], runs[name]) for name in runs])
    report.table("its stages, median seconds", [stages(name, runs[name]) for name in runs])
    later = later_clouds(points, grid, steps, repeats)
    report.table("one process", later)
    if not options.quick:
        report.target("without a mesh", median(run.child.seconds for run in runs["no mesh"]), 5, "s")
        report.target(f"with a {grid} mesh", median(run.child.seconds for run in runs["mesh"]), 8, "s")
        peak = max(run.child.peak for some in runs.values() for run in some)
        report.target("peak memory", peak / 1e9, 2.5, "GB")
        report.target("second cloud", float(later[1]["median s"]), 1.5, "s")
    report.save()


if __name__ == "__main__":
    main()
