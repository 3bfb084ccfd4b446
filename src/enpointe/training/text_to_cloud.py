"""What the tasks have in common that learn a rectified flow from a text to a colored cloud."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.checkpoints.embedded import text_encoder
from enpointe.data.datasets import Dataset, PoolDataset, map_parts
from enpointe.diffusion.loss import flow_loss
from enpointe.diffusion.noise import SeededNoise
from enpointe.nn.network import NetworkConfig
from enpointe.pipelines.stage import Stage
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.splats import splat
from enpointe.training.clouds import CloudTask
from enpointe.training.task import Batch, Losses, TaskConfig
from enpointe.training.vocabulary import vocabulary

PROMPTS = (
    "a red car", "a pink motorcycle", "a blue bicycle", "an orange boat", "a white aeroplane", "a green chair",
    "a yellow sofa", "a purple mug", "a wooden table", "a brown dog", "a grey elephant", "a green tree",
    "a red mushroom", "a white house with a red roof", "a blue robot", "a brown guitar",
)  # fmt: skip
"""What a run's images show."""


class Times(ABC):
    """Which times of the flow are trained. Subclasses are frozen dataclasses."""

    @abstractmethod
    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Times (n,), 0 < t < 1, on the generator's device, spread evenly over what is trained."""


@dataclass(frozen=True)
class FlowExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a cloud.
        times: which are trained.
        draws: noised copies of every cloud of a batch: the more, the fewer clouds have to be drawn and ordered.
        drop: how often the text is left out, for guidance.
        stretch: standard deviation of the logarithm of the factor by which each axis is stretched in training.
    """

    n_points: int
    times: Times
    draws: int = 1
    drop: float = 0.1
    stretch: float = 0.06


E = TypeVar("E", bound=FlowExamples)


@dataclass(frozen=True)
class FlowTaskConfig(TaskConfig[E]):
    """A flow's network.

    Attributes:
        network: it takes a grid condition named "text".
        text_tokens: how many tokens a text becomes.
        real: share of draws from a pool that are real models, where it has any; see `Pool.weights`.
    """

    network: NetworkConfig
    text_tokens: int = 24
    real: float = 0.3


class FlowTask(CloudTask[E], ABC):
    """Velocity of a rectified flow over whole clouds, conditioned on the text's tokens."""

    def __init__(self, data: Dataset, config: FlowTaskConfig[E], *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network: nn.Module = config.network.build()
        self.data = map_parts(data, lambda part: _weighted(part, config.real))
        self.text_tokens = config.text_tokens
        words = vocabulary(self.data)
        self.network_info: dict[str, Any] = {
            **config.network.described(),
            "prediction": "flow",
            "text_tokens": config.text_tokens,
            "nouns": sorted({noun for thing in words for noun in thing["names"]}),
            "vocabulary": words,
        }

    def prepare(self, batch: Batch, settings: E, generator: torch.Generator, *, training: bool) -> Batch:
        """Clouds x0 (n, 6, n_points), noise like it, times t (n,), text (n, 384, L), zeros where it is dropped."""
        points = self.varied(batch["points"], settings, generator, training=training)
        return self.noised(points, batch["colors"], batch["text"], settings, generator)

    @staticmethod
    def varied(points: Tensor, settings: FlowExamples, generator: torch.Generator, *, training: bool) -> Tensor:
        """Points (n, P, 3); in training half of the clouds are mirrored at x = 0, and each axis is stretched a little.

        The longest side is 1 again.
        """
        if not training:
            return points
        n, device = len(points), points.device
        size = points.amax(1) - points.amin(1)
        factors = torch.exp(settings.stretch * torch.randn(n, 3, generator=generator, device=device))
        factors = factors / (size * factors).amax(1, keepdim=True).clamp_min(1e-6)
        factors[:, 0] *= torch.where(torch.rand(n, generator=generator, device=device) < 0.5, -1.0, 1.0)
        return points * factors[:, None]

    def noised(
        self, points: Tensor, colors: Tensor, text: Tensor, settings: FlowExamples, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What `prepare` returns, of points (n, P, 3), colors (n, P, 3) and text (n, L, 384)."""
        keep = torch.rand(len(text), generator=generator, device=text.device) >= settings.drop
        x0 = self.ordered(to_model(points, colors)).repeat(settings.draws, 1, 1)
        return {
            "x0": x0,
            "noise": torch.randn(x0.shape, generator=generator, device=x0.device),
            "t": settings.times(len(x0), generator),
            "text": (text * keep[:, None, None]).transpose(1, 2).repeat(settings.draws, 1, 1),
        }

    def ordered(self, x0: Tensor) -> Tensor:
        """Clouds (n, 6, P) as the network wants them: in any order."""
        return x0

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error of the velocity; the noise level is the flow's time."""
        grids = {name: batch[name] for name in batch.keys() - {"x0", "noise", "t"}}
        return Losses(flow_loss(network, batch["x0"], batch["t"], batch["noise"], grids=grids), batch["t"])

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """The prompts of `PROMPTS`, seed 0, drawn together with the embedded network that does the rest."""
        device = next(network.parameters()).device
        text = text_encoder(device).condition(PROMPTS, self.text_tokens).float()
        *_, last = self.stage(network).run(
            {"grids": {"text": text}}, SeededNoise([0] * len(PROMPTS), device), n_samples=len(PROMPTS)
        )
        rows = last.x.float().cpu().numpy().transpose(0, 2, 1)
        images = [splat(row[:, :3] / 2, (row[:, 3:] + 1) / 2, azimuth=35, size=160) for row in rows]
        return contact_sheet(images, columns=8)

    @abstractmethod
    def stage(self, network: nn.Module) -> Stage:
        """What draws clouds with the network."""


def _weighted(part: Dataset, real: float) -> Dataset:
    """A pool with real models drawn as often as they should be; shards as they are."""
    return part.weighted(part.pool.weights(real)) if isinstance(part, PoolDataset) else part


def to_model(points: Tensor, colors: Tensor) -> Tensor:
    """points (n, P, 3) with longest side 1 and colors (n, P, 3) in [0, 1] -> (n, 6, P) in about [-1, 1]."""
    return torch.cat([points * 2, colors * 2 - 1], dim=-1).transpose(1, 2).contiguous()
