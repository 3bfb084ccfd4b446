"""Recipes by name: starting from weights that are there."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch

from enpointe.checkpoints.weights import read_weights, save_weights
from enpointe.core.errors import InputError, WeightsError
from enpointe.training import recipes
from enpointe.training.parallel import Group


@pytest.fixture
def tiny_recipe(tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny.Settings((tiny.Phase(1.0, 32, 2),), learning_rate=1e-12, warmup=1)
    recipe = recipes.Recipe(lambda data, _: tiny.TinyTask(data, seed=1), settings, minutes=1)
    monkeypatch.setitem(recipes.RECIPES, "pocket-base", recipe)
    # Compiling takes longer than all of these tests.
    whole = recipes.train_task
    monkeypatch.setattr(recipes, "train_task", lambda *a, **o: whole(*a, **o, compile_network=False))


@pytest.mark.usefixtures("tiny_recipe")
def test_a_run_starts_from_given_weights(tiny: ModuleType, pool_path: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    given = {key: torch.randn_like(value) for key, value in tiny.CONFIG.build().state_dict().items()}
    start = tmp_path / "start.safetensors"
    save_weights(start, given, {}, "float32")
    best = recipes.train("pocket-base", run_dir=tmp_path / "run", data=pool_path, steps=1, start=start, device="cpu")
    trained = read_weights(best).state
    assert all(torch.allclose(trained[key], value, atol=1e-6) for key, value in given.items())


@pytest.mark.usefixtures("tiny_recipe")
def test_weights_of_another_network_are_refused(pool_path: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_weights(start, {"a": torch.zeros(2)}, {}, "float32")
    with pytest.raises(WeightsError, match="missing keys"):
        recipes.train("pocket-base", run_dir=tmp_path / "run", data=pool_path, steps=1, start=start, device="cpu")
    assert not (tmp_path / "run").exists()


def test_resume_and_start_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found both"):
        recipes.train("pocket-base", run_dir=tmp_path, steps=1, resume=True, start=tmp_path / "x", device="cpu")


def test_too_many_processes_are_refused_before_any_data_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"processes: expected 1 to .*found 5000"):
        recipes.train("pocket-sdf", run_dir=tmp_path / "run", steps=1, n_processes=5000, device="cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tiny_recipe")
def test_two_processes_run_a_recipe(pool_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent to the others can be pickled, and means the same run. (They would compile: none is started.)"""
    sent: list[tuple[int, Callable[..., object]]] = []

    @contextmanager
    def one(n: int, work: Callable[[Group], object]) -> Iterator[Group]:
        sent.append((n, pickle.loads(pickle.dumps(work))))  # noqa: S301 - our own
        yield Group()

    monkeypatch.setattr(recipes, "cores_for", lambda n: [0] * n)
    monkeypatch.setattr(recipes, "processes", one)
    recipes.train("pocket-base", run_dir=tmp_path / "run", data=pool_path, steps=1, n_processes=2, device="cpu")
    ((n, work),) = sent
    assert n == 2
    told: list[str] = []
    work(Group(), resume=True, report=told.append)
    assert told[0].startswith("resumed at step 1")
