"""The training loop: a run that was killed and resumed is the run that was never killed."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from enpointe.checkpoints.weights import load_into, read_weights
from enpointe.core.config import from_dict
from enpointe.core.errors import InputError, OutputError, TrainingError, WeightsError
from enpointe.core.progress import Progress
from enpointe.data.pools.pool import Pool
from enpointe.nn.layout import LayoutConfig
from enpointe.training import loop
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses
from enpointe.training.tasks.pocket_layout import LayoutExamples, LogitNormalTimes

STEPS = 10


def saved(run: Path) -> dict[str, Any]:
    return dict(torch.load(run / "checkpoint.pt", weights_only=True))


def same(one: Any, two: Any) -> bool:
    """Whether two nests of tensors are equal bit by bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


@pytest.fixture(scope="module")
def straight(tiny: ModuleType, data: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happened to."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    tiny.train(data, run, steps=STEPS)
    return run


def wait_for_the_end_of(group: int) -> None:
    """Of all processes that began together; TimeoutError if some stay."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise TimeoutError(f"processes of group {group} are left")


def assert_same_run(run: Path, other: Path) -> None:
    one, two = saved(run), saved(other)
    for what in ("network", "ema", "ema_updates", "optimizers"):
        assert same(one[what], two[what]), what
    assert [one["run_state"][key] for key in ("step", "examples", "best")] == [
        two["run_state"][key] for key in ("step", "examples", "best")
    ]
    assert same(read_weights(run / "best.safetensors").state, read_weights(other / "best.safetensors").state)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_killed_while_it_saves_then_resumed(
    tiny: ModuleType, data: Pool, pool_path: Path, straight: Path, tmp_path: Path, workers: int
) -> None:
    """SIGKILL with half a checkpoint written, after step 6 of 10: step 5's is whole, and the run ends as ever.

    Whoever drew the examples before; and who did so is not left behind.
    """
    run = tmp_path / "killed"
    command = [sys.executable, str(tiny.__file__), str(pool_path), str(run), "6", str(STEPS), str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    assert killed.wait(timeout=180) == -signal.SIGKILL
    wait_for_the_end_of(killed.pid)
    assert saved(run)["run_state"]["step"] == 5
    assert not (run / "best.safetensors").exists()

    tiny.train(data, run, steps=STEPS, resume=True)
    assert_same_run(run, straight)
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in straight.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_a_signal_ends_the_run_between_two_steps(
    tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def on_step(step: int) -> None:
        if step == 4:
            os.kill(os.getpid(), number)

    run = tmp_path / "run"
    best = tiny.train(data, run, task=tiny.TinyTask(data, on_step), steps=STEPS)
    assert signal.getsignal(number) is before
    assert saved(run)["run_state"]["step"] == 4
    assert read_weights(best).info["training"]["steps"] == 4
    tiny.train(data, run, steps=STEPS, resume=True)
    one, two = saved(run), saved(straight)
    assert same(one["network"], two["network"])
    assert same(one["ema"], two["ema"])


@pytest.mark.slow
def test_validation_leaves_training_alone(tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path) -> None:
    every_step = replace(tiny.SETTINGS, validate_every=0.0, checkpoint_every=tiny.NEVER, image_every=0.0)
    tiny.train(data, tmp_path / "run", every_step, steps=STEPS)
    one, two = saved(tmp_path / "run"), saved(straight)
    assert same(one["network"], two["network"])
    assert len(list((tmp_path / "run" / "images").iterdir())) == STEPS


def test_what_a_run_leaves(tiny: ModuleType, data: Pool, straight: Path) -> None:
    assert sorted(path.name for path in straight.iterdir()) == [
        "best.safetensors", "checkpoint.pt", "images", "latest.safetensors", "recipe.json", "run_state.json",
    ]  # fmt: skip
    weights = read_weights(straight / "best.safetensors")
    assert weights.info["kind"] == "layout"
    config = from_dict(LayoutConfig, weights.info["config"])
    assert config == tiny.CONFIG
    load_into(config.build(), weights, "best")
    about = weights.info["training"]
    assert (about["recipe"], about["steps"], about["examples"]) == ("tiny", STEPS, 5 * 4 + 5 * 2)
    state = json.loads((straight / "run_state.json").read_text())
    assert state["best"] == pytest.approx(about["held_out_loss"], abs=1e-5)
    with Image.open(straight / "images" / f"{STEPS:07d}.png") as image:
        assert image.size == (3, 2)


@pytest.mark.slow
def test_loss_falls(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    settings = replace(
        tiny.SETTINGS,
        phases=(Phase(1.0, 8, LayoutExamples(32, LogitNormalTimes(0.0, 1.0), drop=0.0, stretch=0.0)),),
        learning_rate=0.01,
        checkpoint_every=tiny.NEVER,
    )
    task = tiny.TinyTask(data)
    tiny.train(data, tmp_path / "run", settings, task=task, steps=60)  # around sigma 1, where a loss falls fast
    # A network that answers zero is worth task.seen[0]; learning the shapes is worth a good third of that.
    assert sum(task.seen[-20:]) / 20 < 0.75 * sum(task.seen[:5]) / 5


def test_minutes_end_a_run(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    minutes = 0.3 / 60
    tiny.train(data, tmp_path / "run", minutes=minutes)
    state = saved(tmp_path / "run")["run_state"]
    assert state["step"] >= 1
    assert state["seconds"] >= 60 * minutes
    assert state["step"] < 1000
    # A budget that is spent stays spent.
    tiny.train(data, tmp_path / "run", minutes=minutes, resume=True)
    assert saved(tmp_path / "run")["run_state"]["step"] == state["step"]


def test_the_first_of_two_budgets_ends_a_run(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    seen: list[Progress] = []
    tiny.train(data, tmp_path / "run", minutes=60, steps=2, progress=seen.append)
    assert saved(tmp_path / "run")["run_state"]["step"] == 2
    assert seen == [Progress("train", 1, 2), Progress("train", 2, 2)]


@pytest.mark.parametrize("budget", [{}, {"minutes": 0}, {"steps": 0}, {"minutes": -1.0, "steps": 5}])
def test_no_budget(tiny: ModuleType, data: Pool, tmp_path: Path, budget: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected a budget"):
        tiny.train(data, tmp_path / "run", **budget)
    assert not (tmp_path / "run").exists()


def test_new_runs_and_old_ones_are_not_mixed_up(tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run to resume, found none"):
        tiny.train(data, tmp_path / "none", steps=1, resume=True)
    assert not (tmp_path / "none").exists()
    before = (straight / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="expected a new folder, or --resume, found a run"):
        tiny.train(data, straight, steps=1)
    assert (straight / "checkpoint.pt").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    content = (straight / "checkpoint.pt").read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"PK\x03\x04" * 100):
        (run / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(WeightsError, match="expected a checkpoint of this recipe"):
            tiny.train(data, run, steps=STEPS, resume=True)


def test_a_folder_that_cannot_be_made(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder"):
        tiny.train(data, tmp_path / "file" / "run", steps=1)


def test_a_step_that_overflows_is_left_out(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    class Overflowing(tiny.TinyTask):  # type: ignore[misc, name-defined]
        def losses(self, network: torch.nn.Module, batch: Batch) -> Losses:
            found: Losses = super().losses(network, batch)
            if torch.is_grad_enabled() and len(self.seen) == 2:
                return Losses(found.value * math.inf)
            return found

    tiny.train(data, tmp_path / "run", task=Overflowing(data), steps=3)
    after = saved(tmp_path / "run")
    assert all(value.isfinite().all() for value in after["network"].values())
    assert after["run_state"]["step"] == 3
    steps = [state["step"] for optimizer in after["optimizers"] for state in optimizer["state"].values()]
    assert {float(step) for step in steps} == {2.0}


def test_rate_and_phases() -> None:
    settings = Settings((Phase(0.85, 32, "small"), Phase(1.0, 8, "large")), warmup=10, cooldown=0.25)
    rates = [0.0]
    for _ in range(12):
        rates.append(settings.rate(0.0, rates[-1]))
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1])
    assert settings.rate(0.75, 1.0) == 1
    assert settings.rate(0.875, 1.0) == pytest.approx(0.5)
    assert settings.rate(1.0, 0.1) == settings.rate(1.3, 0.1) == 0
    assert settings.rate(0.5, 0.0) == pytest.approx(0.1)  # of a run that was cooled and has more minutes: no jump
    assert replace(settings, cooldown=0.0).rate(1.0, 1.0) == 1
    assert [settings.phase(part).batch for part in (0.0, 0.84, 0.85, 1.0, 1.2)] == [32, 32, 8, 8, 8]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": ()}, "expected ends that rise to 1"), ({"phases": (Phase(0.5, 1, None),)}, "rise to 1, found"),
        ({"phases": (Phase(1.0, 0, None),)}, "expected batches of 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate"), ({"learning_rate": math.nan}, "learning_rate"),
        ({"warmup": 0}, "warmup: expected a number from 1"),
        ({"cooldown": 1.5}, "cooldown: expected a number from 0 to 1"), ({"ema": ()}, "ema"), ({"ema": (1.0,)}, "ema"),
        ({"ema": (0.9, 0.5)}, "ema: expected rising decays"), ({"seed": -1}, "seed"), ({"workers": -1}, "workers"),
    ],
)  # fmt: skip
def test_settings_out_of_their_range(change: dict[str, Any], message: str) -> None:
    settings = Settings((Phase(1.0, 4, None),))
    with pytest.raises(InputError, match=message):
        replace(settings, **change)


def test_the_best_loss_counts_on_its_own_held_out_examples_only(
    tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path
) -> None:
    """Resumed on other examples, a run has a new best, however low the former one was."""

    def resumed(name: str, task: Any) -> tuple[dict[str, Any], str]:
        run = tmp_path / name
        run.mkdir()
        checkpoint = saved(straight)
        checkpoint["run_state"]["best"] = -1.0
        torch.save(checkpoint, run / "checkpoint.pt")
        (run / "best.safetensors").write_bytes(b"former")
        lines: list[str] = []
        tiny.train(data, run, task=task, steps=STEPS, resume=True, report=lines.append)
        assert lines[0].startswith("resumed at step 10")
        replaced = (run / "best.safetensors").read_bytes() != b"former"
        state = saved(run)["run_state"]
        assert replaced == (state["best"] > 0)
        return state, lines[0]

    kept, line = resumed("same", tiny.TinyTask(data))
    assert kept["best"] == -1.0
    assert "other held-out" not in line
    other = replace(data, points=data.points[::-1].copy())
    anew, line = resumed("other", tiny.TinyTask(other))
    assert 0 < anew["best"] < math.inf
    assert anew["held_out"] not in ("", kept["held_out"])
    assert line.endswith("other held-out examples than before: the best loss is counted anew")


def test_the_state_is_written_whole_or_not_at_all(
    tiny: ModuleType, data: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    tiny.train(data, run, steps=1)
    before = (run / "run_state.json").read_bytes()
    monkeypatch.setattr(json, "dumps", lambda *a, **o: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny.train(data, run, steps=1, resume=True)
    assert (run / "run_state.json").read_bytes() == before
    assert not [path for path in run.iterdir() if path.suffix == ".tmp"]


# --- what goes wrong


@pytest.mark.slow
def test_losses_that_are_no_numbers_end_a_run_with_the_last_good_state(
    tiny: ModuleType, data: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(tiny.TinyTask):  # type: ignore[misc, name-defined]
        def losses(self, network: torch.nn.Module, batch: Batch) -> Losses:
            found: Losses = super().losses(network, batch)
            return Losses(found.value * math.nan) if torch.is_grad_enabled() and len(self.seen) > 3 else found

    monkeypatch.setattr(loop, "REPORT_EVERY", 1)
    lines: list[str] = []
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="expected losses that are finite and fall, found others up to step 6"):
        tiny.train(data, run, task=Broken(data), steps=STEPS, report=lines.append)
    assert saved(run)["run_state"]["step"] == 3
    assert "loss inf" in lines[-1]
    tiny.train(data, run, steps=STEPS, resume=True)
    assert saved(run)["run_state"]["step"] == STEPS


@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_training_goes_on_until_there_is_room(
    tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk; it is lifted after step 6."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept: list[int] = []
    run = tmp_path / "run"

    def on_step(step: int) -> None:
        if step > 4:
            kept.append(saved(run)["run_state"]["step"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000 if 4 <= step <= 6 else limits[0], limits[1]))

    lines: list[str] = []
    settings = replace(tiny.SETTINGS, average_every=0.0)
    try:
        tiny.train(data, run, settings, task=tiny.TinyTask(data, on_step), steps=STEPS, report=lines.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept[:4] == [3, 3, 3, 7]
    assert len([line for line in lines if line.startswith("not saved, training goes on: ")]) == 6
    assert_same_run(run, straight)
    assert read_weights(run / "latest.safetensors").info["training"]["steps"] == STEPS
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


# --- cooling down, and more minutes


@pytest.mark.slow
def test_a_run_can_be_cooled_from_where_it_stands(tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    tiny.train(data, run, resume=True, cool_down=0.02)
    state = saved(run)["run_state"]
    before = saved(straight)["run_state"]["seconds"]
    assert state["seconds"] == pytest.approx(before + 1.2, abs=0.5)
    assert state["rate"] < 0.5
    about = json.loads((run / "recipe.json").read_text())
    assert about["minutes"] == pytest.approx(before / 60 + 0.02)
    assert about["settings"]["cooldown"] == pytest.approx(0.02 / about["minutes"])
    (change,) = about["changes"]
    assert change.startswith("cooldown=0.")
    with pytest.raises(InputError, match="expected a run to resume, found a new one"):
        tiny.train(data, tmp_path / "new", cool_down=0.01)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_more_minutes_do_not_jump(tiny: ModuleType, data: Pool, straight: Path, tmp_path: Path) -> None:
    """The rate of a run that was cooled rises again by a step of the warm-up at a time."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    cooled = saved(run)["run_state"]["rate"]
    assert cooled < 0.5

    def on_step(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    settings = replace(tiny.SETTINGS, warmup=20)
    tiny.train(data, run, settings, task=tiny.TinyTask(data, on_step), resume=True, steps=10 * STEPS)
    assert saved(run)["run_state"]["rate"] == pytest.approx(cooled + 3 / 20)


@pytest.mark.slow
def test_the_average_with_the_lowest_held_out_loss_is_kept(tiny: ModuleType, data: Pool, tmp_path: Path) -> None:
    settings = replace(tiny.SETTINGS, ema=(0.0, 0.5, 0.99), validate_every=tiny.NEVER)
    lines: list[str] = []
    best = tiny.train(data, tmp_path / "run", settings, steps=6, report=lines.append)
    (line,) = (line for line in lines if "held-out loss" in line)
    losses = {float(one.split()[0]): float(one.split()[1]) for one in line.split("of averages ")[1].split(", ")}
    weights = read_weights(best)
    kept = weights.info["training"]["ema"]
    assert losses[kept] == min(losses.values())
    average = saved(tmp_path / "run")["ema"][[0.0, 0.5, 0.99].index(kept)]
    assert same(weights.state, average)
    latest = read_weights(tmp_path / "run" / "latest.safetensors").state
    assert all(torch.equal(value, average[key].half().float()) for key, value in latest.items())
