"""Bars on stderr while a stage works, in a terminal only, and words about what was done."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self


class Progress(Protocol):
    """What the pipeline reports: `done` of `total` steps of a stage; a total of 0 is not known yet."""

    @property
    def stage(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...


class Bar:
    """A callback for the pipeline's reports: one bar, started anew for each stage."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        from tqdm import tqdm

        if progress.stage != self._stage:
            self._close()
            # disable=None: silent unless stderr is a terminal.
            unit = getattr(progress, "unit", "it")  # "B" for a download
            self._bar = tqdm(
                total=progress.total,
                unit=unit,
                unit_scale=unit == "B",
                desc=progress.stage,
                leave=False,
                disable=None,
                dynamic_ncols=True,
                file=sys.stderr,
            )
            self._stage = progress.stage
        self._bar.update(progress.done - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None


def warn(message: str) -> None:
    print(f"enpointe: warning: {message}", file=sys.stderr)


def report(words: str, machine: Mapping[str, Any], as_json: bool) -> None:
    """The command's last words on stdout: for people, or one line of JSON with sorted keys."""
    print(json.dumps(machine, allow_nan=False, sort_keys=True) if as_json else words)
