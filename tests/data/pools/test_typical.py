"""Which objects are most alike."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.data.pools.pool import Pool
from enpointe.data.pools.rows import SCALE
from enpointe.data.pools.typical import typical


def boxes(heights: list[float], family: list[str]) -> Pool:
    """Boxes full of points, one of each height."""
    rng = np.random.default_rng(0)
    points = np.stack([(rng.random((600, 3)) - 0.5) * [0.5, 0.5, height] for height in heights])
    n = len(heights)
    return Pool(
        (points * SCALE).astype(np.int16),
        np.zeros((n, 600), np.uint8),
        np.zeros((n, 1, 3), np.int16),
        np.zeros((n, 1), np.float16),
        family,
        [([], [])] * n,
    )


def test_the_most_alike_of_each_family_stay() -> None:
    common, odd = [0.5] * 24, [0.1, 0.9, 0.2, 1.0]
    pool = boxes([*odd, *common, *common, *odd], ["car"] * 28 + ["tree"] * 28)
    chosen = typical(pool, np.arange(56), 0.5)
    assert len(chosen) == 28
    assert set(chosen) <= {*range(4, 28), *range(28, 52)}
    assert (chosen < 28).sum() == 14
    assert (np.diff(chosen) > 0).all()


def test_only_of_those_that_are_asked() -> None:
    pool = boxes([0.5] * 10, ["car"] * 10)
    asked = np.array([1, 3, 5, 7])
    assert set(typical(pool, asked, 0.5)) < set(asked)
    assert typical(pool, asked, 1).tolist() == asked.tolist()
    assert len(typical(pool, asked, 1e-6)) == 1


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_no_such_share(share: float) -> None:
    with pytest.raises(InputError, match="more than 0"):
        typical(boxes([0.5], ["car"]), np.arange(1), share)
