"""Equality of losses, tables and noise levels with the release's own. Its sampling runs: `pipeline/test_stage.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from enpointe.diffusion.channels import ChannelScaling
from enpointe.diffusion.loss import eps_loss
from enpointe.diffusion.schedule import DiscreteProcess, KarrasSchedule
from rounding import rounding

pytestmark = pytest.mark.golden

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
SCALING = ChannelScaling()


def test_training_losses(golden: Golden, predictor: Callable[[str], Callable[..., Tensor]]) -> None:
    tensors, _ = golden("training_losses")
    losses = eps_loss(
        predictor("grid"),
        DiscreteProcess("cosine"),
        SCALING.to_model(tensors["x_start"]),
        tensors["t"],
        tensors["noise"],
        grids={"image": tensors["embeddings"]},
    )
    for name, ours in losses._asdict().items():
        # A square of what the network gives; and vb a difference of numbers near 1, each with its rounding.
        atol = rounding(torch.float32, tensors["noise"][0].numel())
        torch.testing.assert_close(ours, tensors[f"out.{name}"], rtol=4e-5, atol=atol)


@pytest.mark.parametrize(("name", "schedule"), [("base40M", "cosine"), ("upsample", "linear")])
def test_schedule_tables(golden: Golden, name: str, schedule: str) -> None:
    tensors, _ = golden("schedules")
    process = DiscreteProcess(schedule, steps=len(tensors[f"{name}.betas"]))
    for table in ("betas", "alphas_cumprod", "posterior_log_variance_clipped"):
        torch.testing.assert_close(getattr(process, table), tensors[f"{name}.{table}"], rtol=1e-12, atol=1e-15)
    ours = process.sigma_to_index(tensors["sigma"]).floor().long()
    assert torch.equal(ours, tensors[f"{name}.sigma_to_t"])


def test_karras_grids(golden: Golden) -> None:
    tensors, _ = golden("schedules")
    names = [name for name in tensors if name.startswith("karras.")]
    assert names
    for name in names:
        _, steps, low, high = name.split(".")
        ours = KarrasSchedule(float(low), float(high))(int(steps))
        torch.testing.assert_close(ours.to(tensors[name].dtype), tensors[name], rtol=4e-6, atol=0)
