"""How far a long piece of work is: the one type that everything slow reports with, and a bar that shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Progress:
    """How far a stage of the work is.

    Attributes:
        stage: "download", "cloud", "upsample", "mesh", or what else is going on.
        done, total: steps, or bytes of a download; a total of 0 is not known yet.
        unit: "it", or "B" for bytes.
    """

    stage: str
    done: int
    total: int
    unit: str = "it"


ProgressCallback = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """A callback that shows nothing."""


class ProgressBar:
    """A callback that shows one bar, started anew for each stage: in a terminal (on stderr) or a notebook only."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._close()
            self._bar = _bar(progress)
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


@contextmanager
def shown(progress: bool | ProgressCallback) -> Iterator[ProgressCallback]:
    """The callback that an argument `progress` stands for: a bar for True, nothing for False, else itself."""
    if progress is True:
        with ProgressBar() as bar:
            yield bar
    else:
        yield no_progress if progress is False else progress


def _bar(progress: Progress) -> Any:
    from tqdm.auto import tqdm

    return tqdm(
        total=progress.total or None,
        unit=progress.unit,
        unit_scale=progress.unit == "B",
        desc=progress.stage,
        leave=False,
        disable=None if not in_notebook() else False,  # None: not shown unless stderr is a terminal
        dynamic_ncols=True,
        file=sys.stderr,
    )


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, whose stderr is no terminal but shows bars."""
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
