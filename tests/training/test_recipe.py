"""Recipes: the ones that there are, one that is added, and starting from weights that are there."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from data.fake_build import CONFIG, FakeRenderer, boxes
from enpointe.checkpoints.weights import read_weights, save_weights
from enpointe.cli import main
from enpointe.core.errors import InputError, WeightsError
from enpointe.core.progress import Progress
from enpointe.data.build.build import build_shards
from enpointe.data.datasets import Dataset, PoolDataset
from enpointe.training import recipe as recipes
from enpointe.training import tasks
from enpointe.training.embed import MEMBERS
from enpointe.training.parallel import Group
from enpointe.training.recipe import Recipe
from enpointe.training.task import Task, TaskConfig
from enpointe.training.tasks import RECIPES

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


# --- those that there are


def test_every_embedded_model_has_a_recipe_and_its_row_in_the_docs() -> None:
    of_pocket = {name: recipe for name, recipe in RECIPES.items() if name.startswith("pocket-")}
    assert sorted(of_pocket) == sorted(f"pocket-{member}" for member in MEMBERS)
    rows = re.findall(r"^\| `(pocket-\w+)` \|.*\| (\d+)\b[^|]*\|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {name: str(recipe.minutes) for name, recipe in of_pocket.items()}


def test_phases_end_with_the_budget() -> None:
    for name, recipe in RECIPES.items():
        ends = [phase.until for phase in recipe.settings.phases]
        assert ends == sorted(ends), name
        assert ends[-1] == 1, name


# --- one that is added

SOURCE = """
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Collated, Losses, TaskConfig
from enpointe.training.tasks import RECIPES


@dataclass(frozen=True)
class CenterConfig(TaskConfig[int]):
    def build(self, data, run, *, seed):
        return CenterTask(data, seed)


class CenterTask:
    text_tokens = 0

    def __init__(self, data, seed):
        torch.manual_seed(seed)
        self.network = torch.nn.Linear(3, 3)
        self.network_info = {"kind": "center"}
        self.data = data

    @staticmethod
    def collate(examples, n_points, rng, *, training):
        return Collated({"points": torch.from_numpy(np.stack([one.points[:n_points] for one in examples]))})

    def prepare(self, batch, n_points, generator, *, training):
        return batch

    def losses(self, network, batch):
        return Losses((network(batch["points"]).float().mean(1) - 1).square().mean(1))

    def image(self, network):
        return np.zeros((2, 2, 3), np.uint8)


RECIPES.register("shape-center")(
    Recipe(CenterConfig(), Settings((Phase(1.0, 4, examples=16),), compile=False), minutes=1)
)
"""
NAME, MODULE = "shape-center", "shape_center"


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "added"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(folder)])
    yield
    RECIPES.unregister(NAME)
    del sys.modules[f"{tasks.__name__}.{MODULE}"]


@pytest.mark.usefixtures("added")
def test_an_added_task_is_trained_in_python(pool_path: Path, tmp_path: Path) -> None:
    assert NAME in RECIPES
    best = recipes.train(NAME, run_dir=tmp_path / "run", data=[pool_path], steps=2, device="cpu", report=lambda _: None)
    about = read_weights(best).info
    assert (about["kind"], about["training"]["recipe"], about["training"]["steps"]) == ("center", NAME, 2)


@pytest.mark.usefixtures("added")
def test_an_added_task_is_trained_on_the_command_line(
    pool_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    listed = capsys.readouterr().out.replace(",", " ").split()
    assert {*RECIPES} <= {*listed}  # the new one among them, and no name is broken in two
    run = tmp_path / "run"
    assert main(["train", NAME, "--steps", "2", "--data", str(pool_path), "--run", str(run), "--device", "cpu"]) == 0
    assert "step 2 minute 0.0 held-out loss" in capsys.readouterr().out
    assert read_weights(run / "best.safetensors").info["training"]["steps"] == 2


@pytest.mark.usefixtures("added")
@pytest.mark.slow
def test_pools_and_shards_together_stopped_and_resumed(pool_path: Path, tmp_path: Path) -> None:
    """A mixture of both kinds: the run that was stopped and resumed is the run that was not."""
    shards = tmp_path / "shards"
    build_shards(boxes(12), shards, FakeRenderer, CONFIG, per_shard=5, method="fork")
    data: dict[str, Any] = {"data": [pool_path, shards], "weights": [1.0, 2.0]}
    options: dict[str, Any] = {"device": "cpu", "report": lambda _: None}
    recipes.train(NAME, run_dir=tmp_path / "whole", steps=6, **data, **options)
    stop = partial(_stop_at, 3)
    recipes.train(NAME, run_dir=tmp_path / "parts", steps=6, progress=stop, **data, **options)
    assert _saved(tmp_path / "parts")["run_state"]["step"] == 3
    recipes.train(NAME, run_dir=tmp_path / "parts", resume=True, **options)
    whole, parts = (_saved(tmp_path / run) for run in ("whole", "parts"))
    assert parts["run_state"]["step"] == 6
    assert parts["feeds"] == whole["feeds"]
    assert all(torch.equal(value, whole["network"][key]) for key, value in parts["network"].items())
    drawn = [part["done"] for stream in whole["feeds"][0]["streams"] for part in stream["parts"]]
    assert len(drawn) == 2
    assert min(drawn) > 0
    with pytest.raises(InputError, match="expected one for each of 2 data sets, found 1"):
        recipes.train(NAME, run_dir=tmp_path / "new", steps=1, data=data["data"], weights=[1.0], **options)
    assert not (tmp_path / "new").exists()


def _stop_at(step: int, progress: Progress) -> None:
    if progress.stage == "train" and progress.done == step:
        os.kill(os.getpid(), signal.SIGTERM)


def _saved(run: Path) -> dict[str, Any]:
    return dict(torch.load(run / "checkpoint.pt", weights_only=True))


def test_before_it_is_added(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", NAME]) == 2
    assert f"invalid choice: '{NAME}'" in capsys.readouterr().err


# --- how a recipe is run


@pytest.fixture
def tiny_recipe(tiny: ModuleType) -> Iterator[str]:
    class TinyConfig(TaskConfig[object]):
        def build(self, data: Dataset, run: Path, *, seed: int) -> Task[object]:
            assert isinstance(data, PoolDataset)
            task: Task[object] = tiny.TinyTask(data.pool, seed=1)
            return task

    settings = tiny.Settings(
        (tiny.Phase(1.0, 2, tiny.LayoutExamples(32)),), learning_rate=1e-12, warmup=1, compile=False
    )
    RECIPES.register("tiny")(Recipe(TinyConfig(), settings, minutes=1))
    yield "tiny"
    RECIPES.unregister("tiny")


def test_a_run_starts_from_given_weights(tiny: ModuleType, tiny_recipe: str, pool_path: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    given = {key: torch.randn_like(value) for key, value in tiny.CONFIG.build().state_dict().items()}
    start = tmp_path / "start.safetensors"
    save_weights(start, given, {}, "float32")
    best = recipes.train(tiny_recipe, run_dir=tmp_path / "run", data=[pool_path], steps=1, init=start, device="cpu")
    trained = read_weights(best).state
    assert all(torch.allclose(trained[key], value, atol=1e-6) for key, value in given.items())


def test_weights_of_another_network_are_refused(tiny_recipe: str, pool_path: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_weights(start, {"a": torch.zeros(2)}, {}, "float32")
    with pytest.raises(WeightsError, match="missing keys"):
        recipes.train(tiny_recipe, run_dir=tmp_path / "run", data=[pool_path], steps=1, init=start, device="cpu")
    assert not (tmp_path / "run").exists()


def test_resume_and_init_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found both"):
        recipes.train("pocket-layout", run_dir=tmp_path, steps=1, resume=True, init=tmp_path / "x", device="cpu")


def test_too_many_processes_are_refused_before_any_data_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"processes: expected 1 to .*found 5000"):
        recipes.train("pocket-sdf", run_dir=tmp_path / "run", steps=1, n_processes=5000, device="cpu")
    assert not list(tmp_path.iterdir())


def test_two_processes_run_a_recipe(
    tiny_recipe: str, pool_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to the others can be pickled, and means the same run. (They lack this recipe: none is started.)"""
    sent: list[tuple[int, Callable[..., object]]] = []

    @contextmanager
    def one(n: int, work: Callable[[Group], object], device: torch.device) -> Iterator[Group]:
        sent.append((n, pickle.loads(pickle.dumps(work))))  # noqa: S301 - our own
        yield Group()

    monkeypatch.setattr(recipes, "check_processes", lambda n, device: None)
    monkeypatch.setattr(recipes, "processes", one)
    recipes.train(tiny_recipe, run_dir=tmp_path / "run", data=[pool_path], steps=1, n_processes=2, device="cpu")
    ((n, work),) = sent
    assert n == 2
    lines: list[str] = []
    work(Group(), resume=True, report=lines.append)
    assert lines[0].startswith("resumed at step 1")


def test_values_are_changed_by_name_and_kept_for_a_resumed_run(
    tiny_recipe: str, pool_path: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    changes = ["batch=3", "phases.0.examples.n_points=40", "ema=(0.5,)"]
    best = recipes.train(tiny_recipe, run_dir=run, data=[pool_path], steps=2, changes=changes, device="cpu")
    about = read_weights(best).info["training"]
    assert about["examples"] == 6
    assert about["changes"] == changes
    assert about["ema"] == 0.5
    written = json.loads((run / "recipe.json").read_text())
    assert written["settings"]["phases"][0] == {**written["settings"]["phases"][0], "batch": 3}
    assert (written["data"], written["steps"], written["minutes"]) == ([str(pool_path)], 2, None)
    # Nothing needs to be said again.
    recipes.train(tiny_recipe, run_dir=run, resume=True, device="cpu")
    best = recipes.train(tiny_recipe, run_dir=run, resume=True, steps=3, changes=["warmup=9"], device="cpu")
    about = read_weights(run / "latest.safetensors").info["training"]
    assert (about["steps"], about["examples"]) == (3, 9)
    assert about["changes"] == [*changes, "warmup=9"]
    with pytest.raises(InputError, match=f"expected a run of pocket-layout, found one of {tiny_recipe}"):
        recipes.train("pocket-layout", run_dir=run, resume=True, device="cpu")
    (run / "recipe.json").write_text("[]")
    with pytest.raises(InputError, match="expected what a run is"):
        recipes.train(tiny_recipe, run_dir=run, resume=True, device="cpu")


def test_values_of_the_task_and_wrong_ones(pool_path: Path, tmp_path: Path) -> None:
    recipe = RECIPES["pocket-layout"].changed(["network.width=64", "real=0.5"])
    assert (recipe.task.network.width, recipe.task.real) == (64, 0.5)  # type: ignore[attr-defined]
    for change, message in (
        ("network.widht=3", "expected one of .*found 'widht'"),
        ("optimizer=sgd", "expected adamw, muon, found 'sgd'"),
        ("learning_rate=-1", "learning_rate: expected a number"),
    ):
        with pytest.raises(InputError, match=message):
            recipes.train("pocket-layout", run_dir=tmp_path / "run", data=[pool_path], changes=[change], device="cpu")
    assert not (tmp_path / "run").exists()


def test_data_that_a_recipe_cannot_learn_from_leave_no_folder(pool_path: Path, tmp_path: Path) -> None:
    for name, message in (
        ("pocket-up", "expected clouds of at least 4096 points, found 128"),
        ("pocket-sdf", "expected at least 512 queries of each cloud, found 16"),
    ):
        with pytest.raises(InputError, match=message):
            recipes.train(name, run_dir=tmp_path / "run", data=[pool_path], steps=1, device="cpu")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "1"], "expected one for each of 0 --data, found 1"),
        (["--data", "none.pool"], "--data: expected an existing pool or folder of shards, found no 'none.pool'"),
        (["--set", "seed=0", "sed=1"], "found 'sed'"),
        (["--cool-down", "3"], "--cool-down: expected --resume beside it"),
        (["--cool-down", "3", "--resume", "--steps", "4"], "and no other budget"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "pocket-layout", "--run", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
