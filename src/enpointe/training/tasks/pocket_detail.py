"""The detail network: where exactly the points of a layout lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from enpointe.checkpoints.embedded import embedded_path, read_network
from enpointe.data.datasets import Dataset
from enpointe.nn.detail import Detail, DetailConfig
from enpointe.nn.layout import Layout
from enpointe.pipelines.families.pocket.base_stage import pair
from enpointe.pipelines.stage import Stage
from enpointe.training.levels import even_levels
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.tasks import RECIPES
from enpointe.training.text_to_cloud import FlowExamples, FlowTask, FlowTaskConfig, Times

SIGMA_MIN, SIGMA_MAX = 0.01, 0.5
"""Noise levels that it learns: up to twice the level at which it takes over, since a layout is not exact."""


@dataclass(frozen=True)
class LowNoiseTimes(Times):
    """Even in the logarithm of the noise level sigma = t / (1 - t)."""

    sigma_min: float = SIGMA_MIN
    sigma_max: float = SIGMA_MAX

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        span = math.log(self.sigma_max / self.sigma_min)
        sigma = self.sigma_min * torch.exp(span * even_levels(n, generator))
        return sigma / (1 + sigma)


class DetailTask(FlowTask[FlowExamples]):
    """Clouds in any order, at low noise."""

    def stage(self, network: nn.Module) -> Stage:
        assert isinstance(network, Detail)
        layout, _ = read_network(embedded_path("layout"), Layout)
        return pair(layout.to(next(network.parameters()).device), network).stage()


@dataclass(frozen=True)
class DetailTaskConfig(FlowTaskConfig[FlowExamples]):
    """The detail network's task."""

    def build(self, data: Dataset, run: Path, *, seed: int) -> DetailTask:
        return DetailTask(data, self, seed=seed)


RECIPES.register("pocket-detail")(
    Recipe(
        DetailTaskConfig(DetailConfig()),
        Settings(
            phases=(
                Phase(until=0.5, batch=48, examples=FlowExamples(512, LowNoiseTimes())),
                Phase(until=1.0, batch=24, examples=FlowExamples(1024, LowNoiseTimes())),
            ),
            learning_rate=2e-3,
            optimizer="muon",
            muon_scale=4.0,
            warmup=60,
            ema=(0.99, 0.998),
        ),
        minutes=60,
    )
)
