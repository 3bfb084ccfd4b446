"""Samples in batches, with progress over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from enpointe.core.progress import Progress, ProgressCallback


def in_batches(
    n: int, size: int, stage: str, steps: int, report: ProgressCallback
) -> Iterator[tuple[slice, Callable[[int], None]]]:
    """Batches of at most `size` of n samples, each with what reports how many of its steps are done.

    Args:
        stage: for the reports.
        steps: that a sample takes; those of a batch are made together.
    """
    for start in range(0, n, size):
        together = min(size, n - start)

        def tell(done: int, before: int = start, together: int = together) -> None:
            report(Progress(stage, before * steps + done * together, n * steps))

        yield slice(start, start + together), tell
