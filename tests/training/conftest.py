"""A small pool and a tiny task to train on it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from enpointe.data.pools import pool


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module `tiny.py` of this folder, which tests also run as a script."""
    spec = importlib.util.spec_from_file_location("tiny_training", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pool_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "small.pool"
    pool.build(path, n_clouds=8, n_points=128, n_queries=16, workers=1)
    return path


@pytest.fixture(scope="session")
def data(pool_path: Path) -> pool.Pool:
    return pool.read(pool_path)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """One thread, so that sums are added in one order; and no tensorboard, which takes seconds to import."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch.utils.tensorboard", None)
        yield
    torch.set_num_threads(before)
