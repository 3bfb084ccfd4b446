"""Several processes in one run: the steps of one process with all the examples."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from enpointe.core.errors import InputError, TrainingError
from enpointe.training.parallel import Group, check_processes, processes
from enpointe.training.seeds import share

SCRIPT = Path(__file__).with_name("line.py")
linux = pytest.mark.skipif(sys.platform != "linux", reason="expects processes to be bound to cores")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


two_cores = pytest.mark.skipif(cores() < 2, reason="needs two cores")


def saved(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


@linux
@two_cores
@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_stop_and_resume_together(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert saved(tmp_path / "stopped.pt")["run_state"]["step"] == 4  # the signal came to the follower
    two, alone = saved(tmp_path / "two" / "checkpoint.pt"), saved(tmp_path / "alone" / "checkpoint.pt")
    for key in ("step", "examples", "held_out"):
        assert two["run_state"][key] == alone["run_state"][key]
    assert two["run_state"]["step"] == 10
    assert two["run_state"]["examples"] == 50
    for ours, theirs in zip([two["network"], *two["ema"]], [alone["network"], *alone["ema"]], strict=True):
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-6)
    torch.manual_seed(0)
    start = torch.nn.Linear(3, 8).weight
    assert (two["network"]["0.weight"] - start).abs().max() > 0.02  # it has learned
    report = done.stdout.decode()
    assert report.count("held-out loss") == 3  # twice together, once alone: nobody but the leader reports
    assert report.count("resumed at step 4") == 1


@two_cores
@pytest.mark.slow
def test_a_process_that_ends_too_early_ends_the_run() -> None:
    def lead() -> None:
        with processes(2, partial(operator.truediv, 1)) as group:  # 1 / group: a TypeError
            group.agree(0.0, False)

    threads = torch.get_num_threads()
    with pytest.raises(TrainingError, match=r"expected 2 to the end, found exit codes \[1\]"):
        lead()
    assert torch.get_num_threads() == threads
    assert cores() >= 2


def test_more_processes_than_cores() -> None:
    for n in (0, cores() + 1):
        with pytest.raises(InputError, match=f"expected 1 to {cores()}.*found {n}"), processes(n, print):
            pass


def test_one_process_is_none_further() -> None:
    with processes(1, str) as group:
        assert group == Group()
        assert group.leads
        assert group.agree(2.5, True, False) == (2.5, [True, False])
        assert group.gather({"a": 1}) == [{"a": 1}]
        network = torch.nn.Linear(2, 2)
        network(torch.ones(1, 2)).sum().backward()
        group.average(network, 1.0)
        assert torch.equal(network.weight.grad, torch.ones(2, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(("batch", "size"), [(5, 2), (48, 4), (3, 3), (7, 1)])
def test_shares_make_up_the_batch(batch: int, size: int) -> None:
    shares = [share(batch, rank, size) for rank in range(size)]
    assert sum(shares) == batch
    assert max(shares) - min(shares) <= 1


def test_more_processes_than_examples_in_a_batch(tiny: Any, data: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at most 2, a batch's examples, found 3"):
        tiny.train(data, tmp_path / "run", steps=1, group=Group(0, 3))
    assert not (tmp_path / "run").exists()


@linux
@two_cores
@pytest.mark.slow
def test_a_recipe_under_torchrun_and_a_process_that_is_lost(pool_path: Path, tmp_path: Path) -> None:
    """Two processes of torchrun take three steps of a recipe; then one is killed, and the run can be resumed."""
    script = Path(__file__).with_name("launched.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

    def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
        return subprocess.run(
            [*command, str(pool_path), str(tmp_path / "run"), *arguments],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    done = launch("--steps", "3")
    assert done.returncode == 0, done.stderr
    first = saved(tmp_path / "run" / "checkpoint.pt")
    assert first["run_state"]["step"] == 3
    assert len(first["feeds"]) == 2
    assert done.stdout.count("held-out loss") == 1
    lost = launch("--steps", "9", "--resume", "--kill", "5")
    assert lost.returncode != 0
    assert "TrainingError: expected 2 to the end, found one lost; the run can be resumed" in lost.stdout
    assert saved(tmp_path / "run" / "checkpoint.pt")["run_state"]["step"] == 5
    done = launch("--steps", "9", "--resume")
    assert done.returncode == 0, done.stderr
    assert saved(tmp_path / "run" / "checkpoint.pt")["run_state"]["step"] == 9


def test_gpus_and_other_devices() -> None:
    assert Group(3, 4, 1).place(torch.device("cuda")) == torch.device("cuda", 1)
    assert Group(3, 4, 1).place(torch.device("cpu")) == torch.device("cpu")
    assert Group().place(torch.device("cuda")) == torch.device("cuda")
    with pytest.raises(InputError, match="expected 1 on mps, found 2"):
        check_processes(2, torch.device("mps"))
    with pytest.raises(InputError, match=f"expected 1 to {torch.cuda.device_count()}, the GPUs, found 99"):
        check_processes(99, torch.device("cuda"))
