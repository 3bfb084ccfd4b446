"""Run benchmarks one after another: python -m benchmarks [NAME ...] [--quick] [--cores N]."""

from __future__ import annotations

import argparse
import subprocess
import sys

SCRIPTS = (
    "startup", "generate", "memory", "attention", "mesh", "data", "render", "build", "solvers", "train_step",
    "train_feed", "base_quality", "reference", "released", "released_memory",
)  # fmt: skip


def main() -> int:
    """Each script in a process of its own, so that none inherits another's memory; returns how many failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SCRIPTS)} (default: all)")
    options, passed_on = parser.parse_known_args()
    unknown = sorted(set(options.names) - set(SCRIPTS))
    if unknown:
        parser.error(f"expected some of {', '.join(SCRIPTS)}, found {', '.join(unknown)}")
    failed = []
    for name in options.names or SCRIPTS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *passed_on], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
