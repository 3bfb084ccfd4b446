"""Numbers in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A duration for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def count(n: int, what: str) -> str:
    """ "1 prompt", "2 prompts"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
