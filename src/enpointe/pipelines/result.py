"""What a pipeline tells while it works, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from enpointe.core.progress import Progress, ProgressCallback
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud


class Mesher(Protocol):
    def mesh(self, cloud: PointCloud, *, grid_size: int = 128) -> Mesh: ...


@dataclass(frozen=True)
class Result:
    """A generated cloud, what it came from, and how to have its mesh.

    `prompt` is empty where the model was not told one; of a picture, `meta` says which.
    """

    prompt: str
    seed: int
    cloud: PointCloud
    meta: dict[str, Any] = field(repr=False)
    _pipeline: Mesher = field(repr=False)

    def mesh(self, grid_size: int = 128) -> Mesh:
        """The cloud's surface; see the pipeline's `mesh`."""
        return self._pipeline.mesh(self.cloud, grid_size=grid_size)


def in_batches(
    n: int, size: int, stage: Literal["cloud", "upsample"], steps: int, report: ProgressCallback
) -> Iterator[tuple[slice, Callable[[int], None]]]:
    """Batches of at most `size` of n samples, each with what reports how many of its steps are done.

    Args:
        steps: that a sample takes; those of a batch are made together.
    """
    for start in range(0, n, size):
        together = min(size, n - start)

        def tell(done: int, before: int = start, together: int = together) -> None:
            report(Progress(stage, before * steps + done * together, n * steps))

        yield slice(start, start + together), tell
