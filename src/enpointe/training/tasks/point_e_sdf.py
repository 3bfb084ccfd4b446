"""The released "sdf": a cloud of 4,096 points -> signed distances (arXiv 2212.08751, section 4.4 and appendix C).

The paper states the network, the loss, and that clouds are moved by Gaussian noise. It does not state how much noise,
nor batch, learning rate and queries; these are chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.checkpoints.released import RELEASED_SDF
from enpointe.checkpoints.weights import Weights
from enpointe.data.datasets import Dataset, map_parts
from enpointe.data.example import Example
from enpointe.nn.sdf import SDFConfig, SDFTransformer
from enpointe.training.clouds import window
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig
from enpointe.training.tasks import RECIPES
from enpointe.training.tasks._point_e import ITERATIONS, read_released
from enpointe.training.tasks.pocket_sdf import known_distances, meshes_of, with_distances

OUTSIDE_WEIGHT = 4.0
"""Of an error that takes a place for farther outside than it is; so thin parts are not lost where it is unsure."""


@dataclass(frozen=True)
class ReleasedSDFTaskConfig(TaskConfig["ReleasedSDFExamples"]):
    """The released signed-distance network.

    Attributes:
        recompute: see `Transformer`; of the encoder, whose attention over thousands of points takes most of the memory.
    """

    network: SDFConfig = RELEASED_SDF
    recompute: bool = True

    def build(self, data: Dataset, run: Path, *, seed: int) -> ReleasedSDFTask:
        return ReleasedSDFTask(data, self, seed=seed)

    def read_init(self, init: str) -> Weights:
        return read_released("sdf", init)


@dataclass(frozen=True)
class ReleasedSDFExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a cloud.
        n_queries: of each cloud.
        noise: standard deviation of what moves the points, longest side 1.
    """

    n_points: int = 4096
    n_queries: int = 512
    noise: float = 0.01


class ReleasedSDFTask:
    """Regression of the signed distance, positive inside.

    Raises:
        InputError: no pools, or no objects with distances in them.
    """

    text_tokens = 0

    def __init__(self, data: Dataset, config: ReleasedSDFTaskConfig, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = config.network.build()
        network.encoder.recompute = config.recompute
        self.network: nn.Module = network
        self.network_info: dict[str, Any] = {**config.network.described(), "released": "sdf"}
        self.data = map_parts(data, with_distances)

    @staticmethod
    def collate(
        examples: Sequence[Example], settings: ReleasedSDFExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Clouds (n, 3, P), queries (n, 3, Q), distances (n, Q) positive inside.

        Raises:
            InputError: fewer distances of a cloud than `n_queries`.
        """
        points = [window(example, settings.n_points, rng)[0].T for example in examples]
        queries, distances = zip(
            *(known_distances(example, settings.n_queries, rng) for example in examples), strict=True
        )
        arrays = {"points": points, "queries": [one.T for one in queries], "distances": distances}
        return Collated({name: torch.from_numpy(np.stack(values)) for name, values in arrays.items()})

    def prepare(
        self, batch: Batch, settings: ReleasedSDFExamples, generator: torch.Generator, *, training: bool
    ) -> Batch:
        """The clouds with noise."""
        points = batch["points"]
        noise = torch.randn(points.shape, generator=generator, device=points.device)
        return {**batch, "points": points + settings.noise * noise}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """`weighted_l1` of each cloud, and its share of wrong signs."""
        predicted, true = network(batch["points"], batch["queries"]).float(), batch["distances"]
        wrong = ((predicted > 0) != (true > 0)).float().mean(1).detach()
        return Losses(weighted_l1(predicted, true), metrics={"wrong signs": wrong})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Meshes of held-out objects."""
        assert isinstance(network, SDFTransformer)
        return meshes_of(network, self.data)


def weighted_l1(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean absolute errors (n,) of distances (n, Q), positive inside; `OUTSIDE_WEIGHT` times those that are too low."""
    error = predicted - true
    return torch.where(error > 0, error, -OUTSIDE_WEIGHT * error).mean(1)


RECIPES.register("point-e-sdf")(
    Recipe(
        ReleasedSDFTaskConfig(),
        Settings(
            phases=(Phase(until=1.0, batch=16, examples=ReleasedSDFExamples()),), learning_rate=1e-4, weight_decay=0.0
        ),
        steps=ITERATIONS,
    )
)
