"""One object as training sees it, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from enpointe.data.shards.records import StoredView


class Distances(NamedTuple):
    """Signed distances (q,), negative inside, at queries (q, 3) in the unit frame."""

    queries: NDArray[np.float32]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """A colored cloud, its captions, and what else is known of the object.

    Attributes:
        key: unique in its data set.
        points: (n, 3) in the unit frame: z up, centered, longest side 1. Any beginning of them is a fair subset.
        colors: (n, 3) sRGB in [0, 1].
        captions: at least one, the closest first.
        nouns: words for what it is, the closest first, where these are known: a procedural object's family, a model's
            nouns.
        views: its images with their cameras, if there are any; an image is decoded by `StoredView.pixels`.
        distances: None where they are not known.
    """

    key: str
    points: NDArray[np.float32]
    colors: NDArray[np.float32]
    captions: tuple[str, ...]
    nouns: tuple[str, ...] = ()
    views: tuple[StoredView, ...] = ()
    distances: Distances | None = None

    @property
    def caption(self) -> str:
        """The closest one."""
        return self.captions[0]
