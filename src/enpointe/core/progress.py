"""How far a long piece of work is: the one type that everything slow reports with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
