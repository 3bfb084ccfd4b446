"""What it brings to let the C library keep freed memory (pipeline.device.keep_freed_memory), on and off in turns.

Each run is a fresh process, since the setting cannot be taken back; the second cloud of each counts.
"""

from __future__ import annotations

import json
import sys
from statistics import median

from benchmarks.common import Child, Report, Row, arguments, run_child


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--grid", type=int, default=64)
    options = parser.parse_args()
    report = Report("memory", options)
    sizes = ["--points", "4096", "--grid", str(options.grid)]
    if options.quick:
        sizes = ["--points", "256", "--steps", "2", "--grid", "16"]
    command = [sys.executable, "-m", "benchmarks.in_process", *sizes]
    settings = {"keep": command, "return": [*command, "--return-freed-memory"]}
    runs: dict[str, list[Child]] = {name: [] for name in settings}
    for _ in range(1 if options.quick else options.repeats):
        for name, run in settings.items():
            runs[name].append(run_child(run))
    rows: list[Row] = []
    for name, children in runs.items():
        results = [json.loads(child.stdout) for child in children]
        rows.append(
            {
                "freed memory": name,
                "points": int(sizes[1]),
                "second cloud s": round(median(r["clouds"][1] for r in results), 3),
                "second mesh s": round(median(r["meshes"][1] for r in results), 3),
                "kernel s": round(median(c.system for c in children), 2),
                "user s": round(median(c.user for c in children), 2),
                "peak MB": round(max(c.peak for c in children) / 1e6),
            }
        )
    report.table("medians", rows)
    kept, returned = rows
    names = ("second cloud s", "second mesh s", "kernel s", "peak MB")
    report.table("keep / return", [{name: kept[name] / returned[name] for name in names}])
    report.save()


if __name__ == "__main__":
    main()
