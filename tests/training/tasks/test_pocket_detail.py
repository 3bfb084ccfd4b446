"""The detail network's task: clouds in any order, at low noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from enpointe.data.datasets import PoolDataset
from enpointe.data.pools.pool import Pool
from enpointe.nn.detail import DetailConfig
from enpointe.training.tasks.pocket_detail import SIGMA_MAX, SIGMA_MIN, DetailTask, DetailTaskConfig, LowNoiseTimes
from enpointe.training.text_to_cloud import FlowExamples
from training.drawing import drawn

SMALL = DetailConfig(width=32, layers=2, heads=2, window=16, coarse_width=32, coarse_layers=1, coarse_heads=2, tokens=8)


def test_levels_are_even_in_their_logarithm() -> None:
    t = LowNoiseTimes()(1000, torch.Generator().manual_seed(0))
    sigma = (t / (1 - t)).log()
    assert sigma.min() == pytest.approx(np.log(SIGMA_MIN), abs=0.01)
    assert sigma.max() == pytest.approx(np.log(SIGMA_MAX), abs=0.01)
    assert sigma.median() == pytest.approx(np.log(SIGMA_MIN * SIGMA_MAX) / 2, abs=0.01)


def test_a_loss_falls_on_one_batch(data: Pool) -> None:
    task = DetailTask(PoolDataset(data), DetailTaskConfig(SMALL))
    batch = drawn(task, FlowExamples(64, LowNoiseTimes()))
    assert batch.keys() == {"x0", "noise", "t", "text"}
    optimizer = torch.optim.Adam(task.network.parameters(), lr=3e-3)
    seen = []
    for _ in range(30):
        loss = task.losses(task.network, batch).value.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert seen[-1] < 0.8 * seen[0]


@pytest.mark.slow
def test_image(data: Pool) -> None:
    task = DetailTask(PoolDataset(data), DetailTaskConfig(SMALL))
    with torch.no_grad():
        image = task.image(task.network.eval())
    assert image.shape == (2 * 160, 8 * 160, 3)
    assert image.std() > 1
