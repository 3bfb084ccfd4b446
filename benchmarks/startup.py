"""How long `import enpointe` and `enpointe --help` take, each a fresh process, and what they import."""

from __future__ import annotations

import sys

from benchmarks.common import Report, arguments, enpointe_command, in_turns, run_child, spread

HEAVY = ("torch", "transformers", "numpy", "scipy", "skimage", "trimesh", "tokenizers", "PIL")
LIMIT = 0.3


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    report = Report("startup", options)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import enpointe": [sys.executable, "-c", "import enpointe"],
        "enpointe --help": [*enpointe_command(), "--help"],
    }
    for command in commands.values():  # into the disk cache
        run_child(command)
    jobs = {name: lambda command=command: run_child(command) for name, command in commands.items()}
    seconds = in_turns(jobs, 2 if options.quick else options.repeats)
    report.table("fresh processes", [{"command": name, **spread(values)} for name, values in seconds.items()])
    look = f"import sys, enpointe.cli; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    loaded = run_child([sys.executable, "-c", look]).stdout.strip()
    report.table("heavy modules after importing the command line", [{"modules": loaded or "none"}])
    for name in ("import enpointe", "enpointe --help"):
        report.target(name, sorted(seconds[name])[len(seconds[name]) // 2], LIMIT, "s")
    report.save()


if __name__ == "__main__":
    main()
