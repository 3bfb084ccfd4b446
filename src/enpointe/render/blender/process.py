"""A Blender in a process of its own: found, started, given jobs, watched, and started again when it is lost."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from enpointe.core.errors import DeviceError, InputError, RenderError

ENVIRONMENT = "ENPOINTE_BLENDER"
OLDEST = (3, 4)
MARK = "enpointe:"
"""What each line of `entry` begins with; Blender itself prints to the same place until that runs."""
_OPENING_SECONDS = 300.0
_TICK = 0.1
_ENVIRONMENT_OF_CHECKOUT = Path(__file__).parents[4] / ".venv-blender"


@dataclass(frozen=True)
class BlenderLimits:
    """What one asset may take before Blender is ended and the asset given up.

    Attributes:
        stall: seconds without an image finished.
        seconds: in all.
        memory: bytes of the process; held to where the system tells them (Linux).
    """

    stall: float = 120.0
    seconds: float = 240.0
    memory: int = 6 << 30

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"limits: expected {name} above 0, found {value}")


def find_blender() -> list[str]:
    """The command that starts `entry`, less its arguments.

    Looked for: what ENPOINTE_BLENDER names (a Blender, or a Python that has the bpy wheel), the environment that
    `make blender` made, `blender` on the PATH.

    Raises:
        DeviceError: there is none.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        found = shutil.which(named)
        if found is None:
            raise DeviceError(f"{ENVIRONMENT}: expected a program, found {named!r}")
        return _command(found)
    for python in (_ENVIRONMENT_OF_CHECKOUT / "bin" / "python", _ENVIRONMENT_OF_CHECKOUT / "Scripts" / "python.exe"):
        if python.is_file():
            return _command(str(python))
    found = shutil.which("blender")
    if found is None:
        raise DeviceError(
            f"expected Blender {_dotted(OLDEST)} or newer on the PATH or in {ENVIRONMENT}, or the environment of "
            "`make blender`; found none"
        )
    return _command(found)


def _command(program: str) -> list[str]:
    entry = str(Path(__file__).with_name("entry.py"))
    if Path(program).name.lower().startswith(("python", "pypy")):
        return [program, "-I", entry]
    options = ["--background", "--factory-startup", "--disable-autoexec", "-noaudio", "--python-exit-code", "1"]
    return [program, *options, "--python", entry]


class BlenderProcess:
    """One Blender at a time, started with the first job, or by `start`, and again after it was lost.

    Attributes:
        version: of the Blender that was started last, as it says it itself; "" before.
        reads: suffixes of files that it can import.
        starts: how often one was started.
    """

    def __init__(
        self, limits: BlenderLimits | None = None, *, threads: int | None = None, command: Sequence[str] | None = None
    ) -> None:
        """`threads` for rendering, None for all cores; `command` in place of what `find_blender` finds.

        Raises:
            InputError: fewer than one thread.
        """
        if threads is not None and threads < 1:
            raise InputError(f"expected at least one thread, found {threads}")
        self.limits = limits or BlenderLimits()
        self.version = ""
        self.reads: tuple[str, ...] = ()
        self.starts = 0
        self._arguments = ["--", str(threads or 0)]
        self._found = None if command is None else list(command)
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._log: IO[bytes] | None = None
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._jobs = 0

    @property
    def pid(self) -> int | None:
        """Of the running process; None where there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a Blender unless one is running.

        Raises:
            DeviceError: there is none, it does not start, or it is too old.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        self._found = self._found or find_blender()
        self._home = tempfile.TemporaryDirectory(prefix="enpointe-blender-")
        self._log = (Path(self._home.name) / "log").open("w+b", buffering=0)
        command = [*self._found, *self._arguments]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
                env=_environment(self._home.name), text=True, encoding="utf-8", errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise DeviceError(f"expected a Blender that starts, found {error}") from error
        self.starts += 1
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True).start()
        try:
            ready = self._next(time.monotonic() + _OPENING_SECONDS, float("inf"))
        except RenderError as error:
            output = self._output()
            self._end()
            raise DeviceError(f"expected a Blender that starts, found {command[0]}: {error} {output}") from error
        self.version, self.reads = str(ready["name"]), tuple(ready["reads"])
        if tuple(ready["version"]) < OLDEST:
            self._end()
            raise DeviceError(f"expected Blender {_dotted(OLDEST)} or newer, found {self.version} ({command[0]})")

    def ask(self, job: Mapping[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The answers to a job as they come; the last one holds "done", or "error": why Blender could not do it.

        Whoever closes it before that ends Blender with it, as the job cannot be called off.

        Raises:
            RenderError: Blender died, or stalled or took too much and was ended. The next job gets a new one.
            DeviceError: see `start`.
        """
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._jobs += 1
        number = self._jobs
        begun = time.monotonic()
        line = json.dumps({**job, "job": number, "seconds": int(self.limits.seconds + self.limits.stall) + 60})
        finished = False
        try:
            # A process that is gone is noticed by the silence that follows.
            with contextlib.suppress(OSError):
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            while not finished:
                answer = self._next(time.monotonic() + self.limits.stall, begun + self.limits.seconds)
                if answer.get("job") != number:
                    continue
                finished = "done" in answer or "error" in answer
                yield answer
        finally:
            if not finished:
                self._end()

    def close(self) -> None:
        """End the process; a further job would start another."""
        self._end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, stall: float, end: float) -> dict[str, Any]:
        """The next answer, until a moment of `time.monotonic`."""
        assert self._process is not None
        while True:
            try:
                answer = self._answers.get(timeout=_TICK)
            except queue.Empty:
                self._check(stall, end)
                continue
            if answer is None:
                raise RenderError(f"Blender crashed: {_death(self._process.wait())}")
            return answer

    def _check(self, stall: float, end: float) -> None:
        assert self._process is not None
        used = _resident_bytes(self._process.pid)
        if used > self.limits.memory:
            raise RenderError(f"Blender took {used >> 20} MiB of memory, more than {self.limits.memory >> 20}")
        now = time.monotonic()
        if now > end:
            raise RenderError(f"Blender took longer than {self.limits.seconds:g} seconds")
        if now > stall:
            raise RenderError(f"Blender stalled: nothing finished within {self.limits.stall:g} seconds")

    def _output(self) -> str:
        """The end of what it printed as errors."""
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace").strip()[-300:]

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._home is not None:
            self._home.cleanup()
            self._home = None


def _listen(lines: IO[str], answers: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Pass answers on, then None."""
    with contextlib.suppress(OSError, ValueError):  # closed from the other side
        for line in lines:
            if line.startswith(MARK):
                answers.put(json.loads(line.removeprefix(MARK)))
    answers.put(None)


def _environment(home: str) -> dict[str, str]:
    """No settings, scripts or libraries of the user's or of this Python reach Blender."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BLENDER_", "PYTHON"))}
    folders = ("RESOURCES", "CONFIG", "SCRIPTS", "EXTENSIONS", "DATAFILES")
    return {**kept, **{f"BLENDER_USER_{name}": home for name in folders}}


def _death(code: int) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0  # just gone
    return pages * os.sysconf("SC_PAGE_SIZE")


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)
