"""Which objects of a pool are examples to look at."""

from __future__ import annotations

import numpy as np
import pytest

from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.data.preview import of_pool


def pool_of(procedural: int, real: int) -> Pool:
    n = procedural + real
    models = tuple(
        RealModel(f"k/{i}", ("crate",), np.full((1, 3), 0.5, np.float32), "CC0-1.0", "K", "S") for i in range(real)
    )
    return Pool(
        points=np.zeros((n, 2, 3), np.int16),
        slot=np.zeros((n, 2), np.uint8),
        queries=np.zeros((n, 1, 3), np.int16),
        sdf=np.zeros((n, 1), np.float16),
        family=[*["plate"] * procedural, *(f"model/{i}" for i in range(real))],
        words=[([], [])] * n,
        models=models,
    )


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        ((100, 100), (24, 24)),
        ((100, 5), (43, 5)),
        ((10, 100), (10, 38)),
        ((100, 0), (48, 0)),
        ((3, 2), (3, 2)),
    ],
)
def test_up_to_half_are_real_models_and_come_last(held: tuple[int, int], shown: tuple[int, int]) -> None:
    keys = [example.key for example in of_pool(pool_of(*held), 48, seed=0)]
    assert all(key.startswith("plate/") for key in keys[: shown[0]])
    assert len(set(keys[shown[0] :])) == shown[1] == len(keys) - shown[0]
    assert all(key.startswith("k/") for key in keys[shown[0] :])


def test_seeds_show_others() -> None:
    pool = pool_of(1, 100)
    one, again, other = ([e.key for e in of_pool(pool, 48, seed)] for seed in (0, 0, 1))
    assert one == again != other
