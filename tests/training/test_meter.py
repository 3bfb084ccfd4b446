"""What a run reports of itself: losses, health, speed."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from torch import nn

from enpointe.training import speed
from enpointe.training.meter import BAD_REPORTS, TIMES_MEDIAN, Health, Meter
from enpointe.training.settings import Phase
from enpointe.training.speed import Speed, flops_of, peak_of, speed_words
from enpointe.training.task import Losses
from training.line import LineTask

CPU = torch.device("cpu")
TAKEN, LEFT_OUT = torch.tensor(0.0), torch.tensor(1.0)


def test_means_over_steps_and_quarters_of_the_noise() -> None:
    meter = Meter(CPU)
    assert meter.read() == {}
    meter.add(Losses(torch.tensor([1.0, 3.0]), torch.tensor([0.1, 0.6])), torch.tensor(2.0), TAKEN)
    meter.add(Losses(torch.tensor([5.0, 7.0]), torch.tensor([0.2, 1.0])), torch.tensor(4.0), TAKEN)
    meter.add(Losses(torch.tensor([math.nan, 1.0]), torch.tensor([0.2, 0.3])), torch.tensor(math.inf), LEFT_OUT)
    assert meter.read() == pytest.approx(
        {
            "loss": 4.0, "gradient norm": 3.0, "skipped": 1 / 3,
            "loss/noise 0.00": 3.0, "loss/noise 0.50": 3.0, "loss/noise 0.75": 7.0,
        }
    )  # fmt: skip
    assert meter.read() == {}
    meter.add(Losses(torch.tensor([math.nan])), torch.tensor(math.nan), LEFT_OUT)
    assert meter.read() == {"loss": math.inf, "skipped": 1.0}


def test_health() -> None:
    health = Health()
    for loss in [1.0] * 20 + [3.0]:
        health.add(loss)
        assert health.good
    for bad in (math.inf, math.nan, 1.1 * TIMES_MEDIAN):
        health.add(bad)
        assert not health.good
        assert not health.lost
        health.add(1.0)
        assert health.good
    for _ in range(BAD_REPORTS):
        assert not health.lost
        health.add(math.nan)
    assert health.lost


def test_a_run_may_begin_with_large_losses() -> None:
    health = Health()
    for loss in (1.0, 100.0, 3.0):
        health.add(loss)
        assert health.good


def test_flops_of_a_step_are_three_times_its_products() -> None:
    task = LineTask()
    flops = flops_of(task, task.network, {"x": torch.ones(7, 3)})
    assert flops == 3 * 2 * 7 * (3 * 8 + 8 * 3)
    assert task.network.training


def test_counting_changes_no_running_statistics() -> None:
    task: Any = LineTask()
    task.network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
    before = task.network[0].running_mean.clone()
    assert flops_of(task, task.network, {"x": torch.ones(7, 3)}) > 0
    assert torch.equal(task.network[0].running_mean, before)


def test_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "peak_of", lambda device: 1e6)
    found = Speed(CPU)
    task = LineTask()
    assert found.read() == {}
    assert speed_words({}) == ""
    for _ in range(2):
        found.measure(task, task.network, {"x": torch.ones(7, 3)}, Phase(1.0, 7, None))
        with found.waiting():
            time.sleep(0.02)
        found.add(7, 0.5)
    read = found.read()
    assert read["examples/s"] == 14
    assert 0.04 <= read["waiting"] < 0.2
    assert read["TFLOP/s"] == pytest.approx(2 * 2016 / 1e12)
    assert read["share of peak"] == pytest.approx(2 * 2016 / 1e6)
    assert speed_words({**read, "waiting": 0.041}) == "14.0 examples/s waiting 4.1% 4.03e-09 TFLOP/s (0.4% of peak)"
    assert found.read() == {}


def test_peaks() -> None:
    assert peak_of(CPU) is None
    cuda = torch.device("cuda")
    assert peak_of(cuda, lambda _: "NVIDIA H100 80GB HBM3") == 989e12
    assert peak_of(cuda, lambda _: "NVIDIA L40S") == 362e12
    assert peak_of(cuda, lambda _: "something else") is None
