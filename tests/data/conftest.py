"""A pool of a few small objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from enpointe.data.pools import pool


@pytest.fixture(scope="session")
def pool_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "small.pool"
    pool.build(path, workers=1, n_clouds=20, n_points=600, n_queries=64, seed=3)
    return path


@pytest.fixture(scope="session")
def small_pool(pool_path: Path) -> pool.Pool:
    return pool.read(pool_path)
