"""pip install that shows it is alive: a line for each package and, in between, what it does and for how many seconds.

    python tools/install.py --constraint constraints.txt --editable .

Arguments are those of `pip install`. The lines go to stderr; on a terminal, the one in progress is rewritten every
second, elsewhere it is written every ten. Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import IO

TERMINAL = sys.stderr.isatty()
INTERVAL = 1 if TERMINAL else 10
"""Seconds without news after which the work in progress is shown."""

WHEEL = re.compile(
    r"(?:Downloading|Using cached|Processing) (?:\S*/)?"
    r"(?P<file>[^\s/]+\.(?:whl|tar\.gz))(?P<size> \([\d.]+ \w?B\))?( .*)?"
)


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    present = installed()
    command = [sys.executable, "-m", "pip", "install", "--no-color", "--progress-bar", "off", *arguments]
    doing, total, result, output = "starting pip", 0, "nothing new to install", list[str]()
    show(began, f"pip install {' '.join(arguments)}", lasting=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=forward, args=(pip.stdout, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=INTERVAL)
            except queue.Empty:
                progress = f"{installed() - present} of {total} packages installed" if total else doing
                show(began, progress, lasting=not TERMINAL)
                continue
            if line is None:
                break
            output.append(line)
            if wheel := WHEEL.fullmatch(line):
                doing = f"{package(wheel['file'])}{wheel['size'] or ''}"
                show(began, doing, lasting=True)
            elif line.startswith("Collecting "):
                doing = "looking for " + line.split()[1]
            elif line.startswith("Installing collected packages: "):
                total = line.count(",") + 1
                show(began, f"installing {total} packages", lasting=True)
            elif line.startswith("Successfully installed "):
                result = f"{len(line.split()) - 2} packages installed"
    if pip.returncode:
        print(*output[-20:], sep="\n", file=sys.stderr)
    else:
        show(began, result, lasting=True)
    return pip.returncode


def forward(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    """Put every line of the stream into the queue, then None."""
    assert stream is not None
    for line in stream:
        lines.put(line.strip())
    lines.put(None)


def installed() -> int:
    """How many packages this environment has."""
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def package(file: str) -> str:
    """Name and version of a wheel or source archive."""
    return " ".join(file.removesuffix(".tar.gz").split("-")[:2])


def show(began: float, text: str, *, lasting: bool) -> None:
    """A line with the seconds since the start, which the next one overwrites unless it is lasting."""
    start, end = ("\r\033[K", "\n" if lasting else "") if TERMINAL else ("", "\n")
    print(f"{start}{time.monotonic() - began:4.0f} s  {text}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
