"""pip install that shows it is alive: a line for each package and, in between, what it does and for how many seconds.

    python tools/install.py --constraint constraints.txt --editable .

Arguments are those of `pip install`. The lines go to stderr; on a terminal, the one in progress is rewritten every
second, elsewhere it is written every five. Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

WHEEL = re.compile(
    r"(?:Downloading|Using cached|Processing) (?:\S*/)?"
    r"(?P<file>[^\s/]+\.(?:whl|tar\.gz))(?P<size> \([\d.]+ \w?B\))?( .*)?"
)


@dataclass
class Display:
    """Lines on stderr, each with the seconds since the start."""

    terminal: bool = field(default_factory=sys.stderr.isatty)
    began: float = field(default_factory=time.monotonic)
    shown: float = float("-inf")

    def show(self, text: str, lasting: bool = True) -> None:
        """On a terminal, a line that is not lasting is overwritten by the next one."""
        start, end = ("\r\033[K", "\n" if lasting else "") if self.terminal else ("", "\n")
        self.shown = time.monotonic()
        print(f"{start}{self.shown - self.began:4.0f} s  {text}", end=end, file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """The work in progress, if nothing was shown for a while."""
        if time.monotonic() - self.shown >= (1 if self.terminal else 5):
            self.show(text, lasting=False)


def main(arguments: list[str]) -> int:
    display = Display()
    display.show(f"pip install {' '.join(arguments)}")
    present, total, doing, result = installed(), 0, "preparing", "nothing new to install"
    output: list[str] = []
    command = [sys.executable, "-m", "pip", "install", "--no-color", "--progress-bar", "off", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        for line in lines_or_ticks(pip.stdout):
            if line:
                output.append(line)
            if wheel := WHEEL.fullmatch(line):
                doing = f"{package(wheel['file'])}{wheel['size'] or ''}"
                display.show(doing)
            elif line.startswith("Collecting "):
                doing = f"looking for {line.split()[1]}"
            elif line.startswith("Building wheel for "):
                doing = f"building {line.split()[3]}"
            elif line.startswith("Installing collected packages: "):
                total = line.count(",") + 1
                display.show(f"unpacking {total} packages")
            elif line.startswith("Successfully installed "):
                result = f"{len(line.split()) - 2} packages installed"
            display.progress(f"{installed() - present} of {total} packages unpacked" if total else doing)
    if pip.returncode:
        print(*output[-20:], sep="\n", file=sys.stderr)
    else:
        display.show(result)
    return pip.returncode


def lines_or_ticks(stream: IO[str] | None) -> Iterator[str]:
    """Every line of the stream, stripped, and "" for each second without one."""
    assert stream is not None
    lines: queue.Queue[str | None] = queue.Queue()

    def forward() -> None:
        for line in stream:
            lines.put(line.strip())
        lines.put(None)

    threading.Thread(target=forward, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line


def installed() -> int:
    """How many packages this environment has."""
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def package(file: str) -> str:
    """Name and version of a wheel or source archive."""
    return " ".join(file.removesuffix(".tar.gz").split("-")[:2])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
