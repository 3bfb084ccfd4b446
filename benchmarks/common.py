"""What every benchmark shares: options, the machine in words, timing in turns, a table and a JSON file.

Knows no PyTorch: a process that measures its children's memory must itself be small (see `run_child`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import enpointe

RESULTS = Path(__file__).resolve().parent / "results"
ASSETS = Path(enpointe.__file__).resolve().parent / "assets"
Row = Mapping[str, Any]


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options that every script has; a script adds its own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, measures nothing")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="CPU cores to use (default: 2)")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="where to write JSON (default: benchmarks/results; with --quick none)",
    )
    return parser


def limit_cores(n: int) -> int:
    """Keep this process and its children to the first n cores that it may use; returns how many it has now.

    Where the system cannot pin a process, only the numerical libraries' threads are limited.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))[:n]
        os.sched_setaffinity(0, allowed)
        n = len(allowed)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    return n


def machine(cores: int) -> dict[str, Any]:
    """What the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    facts = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if ":" in line
    )
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "cpu": facts.get("model name") or platform.processor() or platform.machine(),
        "instructions": [flag for flag in wanted if flag in facts.get("flags", "").split()],
        "cores_used": cores,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "enpointe")},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return enpointe.__version__ if package == "enpointe" else "none"


def _commit() -> str | None:
    """The commit that was measured, with a plus where the package differs from it."""
    git = ["git", "-C", str(RESULTS.parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run([*git, "status", "--porcelain", "../src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if status.stdout else "")


@dataclass
class Report:
    """Collects what a script finds, prints it as it comes, and writes it all at the end."""

    name: str
    options: argparse.Namespace
    tables: dict[str, list[Row]] = field(default_factory=dict)
    targets: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = machine(limit_cores(self.options.cores))
        print(", ".join(f"{key} {value}" for key, value in self.machine.items()), flush=True)

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Rows with the same keys."""
        self.tables[title] = list(rows)
        print(f"\n{title}\n{text_table(rows)}", flush=True)

    def note(self, title: str, words: str) -> None:
        """Something that could not be measured, and why."""
        self.table(title, [{"note": words}])

    def target(self, what: str, measured: float, limit: float, unit: str, *, at_least: bool = False) -> None:
        """A figure that was promised."""
        met = measured >= limit if at_least else measured <= limit
        sign = ">=" if at_least else "<="
        self.targets.append(
            {"target": f"{what} {sign} {limit:g} {unit}", "measured": round(measured, 3), "met": bool(met)}
        )

    def save(self) -> None:
        """Print the targets and write <name>.json, whole or not at all."""
        if self.targets:
            print(f"\ntargets\n{text_table(self.targets)}")
        folder = self.options.results or (None if self.options.quick else RESULTS)
        if folder is None:
            return
        document = {
            "benchmark": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["python", "-m", f"benchmarks.{self.name}", *map(public, sys.argv[1:])]),
            "commit": _commit(),
            "quick": self.options.quick,
            "machine": self.machine,
            "targets": self.targets,
            "tables": self.tables,
        }
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{self.name}.json.{os.getpid()}"
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, folder / f"{self.name}.json")
        print(f"\nwrote {self.name}.json")


def text_table(rows: Sequence[Row]) -> str:
    """Rows as aligned columns, numbers to the right."""
    if not rows:
        return "(nothing)"
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    lines = [
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def in_turns(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every job, `repeats` times: all jobs once, then all again, so that a busy minute hits each alike."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def spread(seconds: Sequence[float], unit: str = "s") -> dict[str, float]:
    """Least and median, as two columns."""
    return {f"min {unit}": round(min(seconds), 4), f"median {unit}": round(median(seconds), 4)}


@dataclass(frozen=True)
class Child:
    """How a process went: wall and CPU seconds, peak resident memory in bytes, what it printed."""

    seconds: float
    user: float
    system: float
    peak: int
    stdout: str
    stderr: str
    code: int


def public(argument: str) -> str:
    """A path of this machine is nobody else's: only its last part is told, after a NAME= too."""
    name, equals, value = argument.rpartition("=")
    return f"{name}{equals}{Path(value).name}" if Path(value).is_absolute() else argument


def run_child(command: Sequence[str]) -> Child:
    """Run a process and account for it.

    A child's peak memory starts at its parent's, whose pages it has until it becomes another program:
    call this from a process that has not imported PyTorch.

    Raises:
        RuntimeError: the process failed; says how.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        child = Child(seconds, usage.ru_utime, usage.ru_stime, peak, out.read(), err.read(), code)
    if child.code != 0:
        raise RuntimeError(f"{shlex.join(command)}: exit code {child.code}\n{child.stderr}")
    return child


def enpointe_command() -> list[str]:
    """The installed command of this interpreter's environment, or the package run as a module."""
    script = Path(sys.executable).with_name("enpointe")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "enpointe"]
