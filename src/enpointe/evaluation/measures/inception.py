"""The inception score of class probabilities (arXiv 1606.03498; P-IS in arXiv 2212.08751)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from enpointe.core.errors import InputError

SPLIT_SIZE = 5000
ROUNDING = 1e-3  # of a row's sum


def inception_score(probabilities: NDArray[Any], split_size: int = SPLIT_SIZE) -> float:
    """The mean of `inception_scores`."""
    return float(inception_scores(probabilities, split_size).mean())


def inception_scores(probabilities: NDArray[Any], split_size: int = SPLIT_SIZE) -> NDArray[np.float64]:
    """exp(mean KL(row || mean row)) of each split of the rows: from 1, all alike, to the number of classes.

    Args:
        probabilities: (n, classes); a probability of 0 adds 0, as its limit does.
        split_size: consecutive rows that are scored together; the last split may be smaller and counts as
            much as the others.

    Raises:
        InputError: no rows, rows that are no probabilities, or a split size below 1.
    """
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise InputError(f"probabilities: expected shape (n, classes), found {probabilities.shape}")
    if split_size < 1:
        raise InputError(f"split size: expected at least 1, found {split_size}")
    rows = probabilities.astype(np.float64, copy=False)
    if not (rows >= 0).all() or not (np.abs(rows.sum(axis=1) - 1) <= ROUNDING).all():  # false for NaN, too
        raise InputError("probabilities: expected rows of numbers from 0 that sum to 1, found others")
    parts = [rows[first : first + split_size] for first in range(0, len(rows), split_size)]
    return np.array([np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()) for part in parts])
