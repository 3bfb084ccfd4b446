"""The base model: a text becomes a colored cloud."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.checkpoints.embedded import text_encoder
from enpointe.core.errors import InputError
from enpointe.data.datasets import Dataset, PoolDataset, map_parts
from enpointe.data.pools.typical import typical
from enpointe.diffusion.denoiser import VelocityDenoiser
from enpointe.diffusion.guidance import Guidance
from enpointe.diffusion.loss import velocity_loss
from enpointe.diffusion.noise import SeededNoise
from enpointe.diffusion.samplers.dpmpp import DPMpp
from enpointe.diffusion.schedule import KarrasSchedule, VelocityProcess
from enpointe.encoders.minilm import WIDTH as TEXT_WIDTH
from enpointe.nn.point_transformer import PointTransformerConfig
from enpointe.pipelines.stage import Stage
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.splats import splat
from enpointe.training.clouds import CloudTask
from enpointe.training.levels import normal_levels
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses, TaskConfig
from enpointe.training.tasks import RECIPES
from enpointe.training.vocabulary import vocabulary

PROMPTS = (
    "a red car", "a pink motorcycle", "a blue bicycle", "an orange boat", "a white aeroplane", "a green chair",
    "a yellow sofa", "a purple mug", "a wooden table", "a brown dog", "a grey elephant", "a green tree",
    "a red mushroom", "a white house with a red roof", "a blue robot", "a brown guitar",
)  # fmt: skip
"""What a run's images show."""

LEVELS = VelocityProcess(mean=-1.6, std=1.5)
"""Most training noise lies between sigma 0.07 and 0.7, where shapes get their detail. Above, a network soon does all
that can be done. After 75 minutes around sigma 1 its squared error was 0.191 at sigma 4, 0.313 at 0.8 and 0.802 at
0.05, where knowing the very object would give 0.189, 0.307 and 0.689."""


def to_model(points: Tensor, colors: Tensor) -> Tensor:
    """points (n, P, 3) with longest side 1 and colors (n, P, 3) in [0, 1] -> (n, 6, P) in about [-1, 1]."""
    return torch.cat([points * 2, colors * 2 - 1], dim=-1).transpose(1, 2).contiguous()


@dataclass(frozen=True)
class BaseTaskConfig(TaskConfig["BaseExamples"]):
    """The base model.

    Attributes:
        network: it takes a grid condition named "text".
        text_tokens: how many tokens a text becomes.
        families: which objects of pools to learn; None for all.
        typical_share: of each family only this share of a pool's objects, those most alike, see `data.pools.typical`.
    """

    network: PointTransformerConfig
    text_tokens: int = 24
    families: tuple[str, ...] | None = None
    typical_share: float = 1.0

    def build(self, data: Dataset, run: Path, *, seed: int) -> BaseTask:
        return BaseTask(data, self, seed=seed)


@dataclass(frozen=True)
class BaseExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a cloud.
        drop: how often the text is left out, for guidance.
        levels: of the noise.
    """

    n_points: int
    drop: float = 0.1
    levels: VelocityProcess = LEVELS


class BaseTask(CloudTask[BaseExamples]):
    """Velocity prediction over whole clouds, conditioned on the text's tokens.

    Raises:
        InputError: a pool has no objects of the config's families, or none to hold out.
    """

    def __init__(self, data: Dataset, config: BaseTaskConfig, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network: nn.Module = config.network.build()
        self.data = map_parts(data, lambda part: _chosen(part, config))
        self.text_tokens = config.text_tokens
        words = vocabulary(self.data)
        self.network_info: dict[str, Any] = {
            **config.network.described(),
            "prediction": "velocity",
            "text_tokens": config.text_tokens,
            "nouns": sorted({noun for thing in words for noun in thing["names"]}),
            "vocabulary": words,
        }

    def prepare(self, batch: Batch, settings: BaseExamples, generator: torch.Generator, *, training: bool) -> Batch:
        """Clouds x0 (n, 6, n_points), noise like it, sigma (n,), text (n, 384, L), zeros where it is dropped."""
        x0 = to_model(batch["points"], batch["colors"])
        n, device = len(x0), x0.device
        keep = torch.rand(n, generator=generator, device=device) >= settings.drop
        return {
            "x0": x0,
            "noise": torch.randn(x0.shape, generator=generator, device=device),
            "sigma": settings.levels.training_sigmas(normal_levels(n, generator)),
            "text": (batch["text"] * keep[:, None, None]).transpose(1, 2),
        }

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error of the velocity; the noise level is the angle on the VP circle as a part of pi/2."""
        sigma = batch["sigma"]
        value = velocity_loss(network, batch["x0"], sigma, batch["noise"], grids={"text": batch["text"]})
        return Losses(value, torch.atan(sigma) * 2 / math.pi)

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """The prompts of `PROMPTS`, seed 0, 512 points, 16 steps, guidance 3."""
        device = next(network.parameters()).device
        text = text_encoder(device).condition(PROMPTS, self.text_tokens).float()
        clouds = sample(network, {"grids": {"text": text}}, len(PROMPTS), 512)
        rows = clouds.cpu().numpy().transpose(0, 2, 1)
        images = [splat(row[:, :3] / 2, (row[:, 3:] + 1) / 2, azimuth=35, size=160) for row in rows]
        return contact_sheet(images, columns=8)


def _chosen(part: Dataset, config: BaseTaskConfig) -> Dataset:
    """Of a pool the objects that the config names; shards as they are."""
    if not isinstance(part, PoolDataset):
        return part
    pool = part.pool
    chosen = sorted(set(pool.family if config.families is None else config.families))
    known = typical(pool, np.flatnonzero(np.isin(np.array(pool.family), chosen)), config.typical_share)
    weights = np.zeros(len(pool))
    weights[known] = 1
    part = part.weighted(weights)
    if not len(part.split(held_out=False)) or not len(part.split(held_out=True)):
        raise InputError(f"pool: expected objects of {', '.join(chosen)}, found too few among {len(pool)}")
    return part


def sample(network: nn.Module, cond: dict[str, Any], n: int, n_points: int, steps: int = 16) -> Tensor:
    """Quick samples, seed 0 for all: (n, 6, n_points) in model units."""
    device = next(network.parameters()).device
    stage = Stage(VelocityDenoiser(network), DPMpp(), KarrasSchedule(0.01, 40.0), steps, (6, n_points), Guidance(3.0))
    *_, last = stage.run(cond, SeededNoise([0] * n, device), n_samples=n)
    return last.x.float()


FIRST_FAMILIES = (
    "car", "truck", "motorcycle", "bicycle", "sailboat", "aeroplane", "rocket", "chair", "armchair", "table", "lamp",
    "mug", "bottle", "hammer", "tree", "mushroom", "apple", "house", "castle", "dog", "elephant", "person", "robot",
    "guitar",
)  # fmt: skip
"""What the base model learns on a plain CPU. What it can show in an hour depends on how often it sees each
family; with all of them it would know every shape a little and none well."""

RECIPES.register("pocket-base")(
    Recipe(
        BaseTaskConfig(
            PointTransformerConfig(
                width=256,
                layers=6,
                heads=4,
                output_channels=6,
                time_as_token=False,
                grids=(("text", TEXT_WIDTH),),
                position_bands=6,
                neighbours=16,
            ),
            families=FIRST_FAMILIES,
            # An hour is not enough to learn a family's whole spread either; what was not learned is drawn as a blur.
            typical_share=0.2,
        ),
        Settings(
            # A set has no order and no fixed size: most of the learning is cheap at 128 points, the end is
            # spent at the size that will be sampled.
            phases=(
                Phase(until=0.4, batch=64, examples=BaseExamples(n_points=128)),
                Phase(until=0.75, batch=32, examples=BaseExamples(n_points=256)),
                Phase(until=1.0, batch=8, examples=BaseExamples(n_points=1024)),
            ),
            learning_rate=2e-3,
            optimizer="muon",
            muon_scale=4.5,
        ),
        minutes=240,
    )
)
