"""Which objects of a family are most alike: what a short training can learn well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from enpointe.core.errors import InputError
from enpointe.data.pools.pool import Pool

GRID = 20
"""Cells along a side of the unit cube."""
BLUR = 0.9
"""Of a cell."""
POINTS = 2048
"""Of an object that are compared."""
CROWD = 20
"""How many of an object's nearest decide how common its shape is."""


def typical(pool: Pool, indices: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Of each family the share of its objects that is nearest to its most common shape.

    Shapes are compared as blurred occupancies of a grid (the cosine between their square roots). The
    most common one is the object whose nearest few are nearest.

    Args:
        pool: objects.
        indices: which of them to choose from.
        share: above 0, at most 1; of every family at least one object stays.

    Returns:
        The chosen indices, in their order.

    Raises:
        InputError: another share.
    """
    if not 0 < share <= 1:
        raise InputError(f"typical share: expected more than 0 and at most 1, found {share}")
    if share == 1:
        return indices
    families: dict[str, list[int]] = {}
    for index in indices.tolist():
        families.setdefault(pool.family[index], []).append(index)
    chosen = [member for members in families.values() for member in _nearest(pool, members, share)]
    return np.array(sorted(chosen), dtype=np.int64)


def _nearest(pool: Pool, members: Sequence[int], share: float) -> list[int]:
    shapes = np.stack([_occupancy(pool.stored_points(i)[:POINTS]) for i in members])
    alike = shapes @ shapes.T
    crowd = np.sort(alike, axis=1)[:, -CROWD - 1 :].mean(axis=1)
    order = np.argsort(-alike[crowd.argmax()], kind="stable")
    return [members[i] for i in order[: max(1, int(len(members) * share))]]


def _occupancy(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (n, 3) in the unit frame -> a unit vector (GRID^3,)."""
    cells = np.clip(((points + 0.5) * GRID).astype(np.int64), 0, GRID - 1)
    counts = np.zeros((GRID,) * 3, dtype=np.float32)
    np.add.at(counts, tuple(cells.T), 1)
    root = np.sqrt(gaussian_filter(counts, BLUR)).ravel()
    return root / np.linalg.norm(root)
