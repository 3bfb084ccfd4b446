"""Recipes by name: starting from weights that are there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from enpointe.errors import InputError, WeightsError
from enpointe.models.weights import read_weights, save_weights
from enpointe.training import recipes


@pytest.fixture
def tiny_recipe(tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny.Settings((tiny.Phase(1.0, 32, 2),), learning_rate=1e-12, warmup=1)
    recipe = recipes.Recipe(lambda data: tiny.TinyTask(data, seed=1), settings, minutes=1)
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
