"""What tasks that learn from colored clouds and their captions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from enpointe.data.example import Example
from enpointe.training.task import Collated


class CloudSettings(Protocol):
    """How examples are drawn."""

    @property
    def n_points(self) -> int:
        """Of a cloud."""
        ...


S_contra = TypeVar("S_contra", bound=CloudSettings, contravariant=True)


class CloudTask(Generic[S_contra]):
    """A task whose examples are clouds and captions: base class of those that can be fed from a device's memory too.

    A batch has "points" (n, n_points, 3) in the unit frame and "colors" (n, n_points, 3) in [0, 1], both float32, and
    "text" (n, L, 384) where the task has `text_tokens`.
    """

    @staticmethod
    def collate(
        examples: Sequence[Example], settings: S_contra, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Points and colors, and one caption of each: any in training, the closest of held-out examples."""
        parts = [window(example, settings.n_points, rng) for example in examples]
        points, colors = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts, strict=True))
        texts = [one.captions[int(rng.integers(len(one.captions))) if training else 0] for one in examples]
        return Collated({"points": points, "colors": colors}, texts)


def window(
    example: Example, n_points: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`n_points` points of an example and their colors, (n, 3) each; repeated if it has fewer.

    They lie in random order, so that any window of them is a fair subset.
    """
    stored = len(example.points)
    pick = (int(rng.integers(stored)) + np.arange(n_points)) % stored
    return example.points[pick], example.colors[pick]
