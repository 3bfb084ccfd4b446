"""The layout network: what an object looks like, from a text, from images or from a part of its points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from enpointe.checkpoints.embedded import embedded_path, image_encoder, read_network
from enpointe.checkpoints.weights import Weights
from enpointe.data.datasets import Dataset
from enpointe.nn.detail import Detail
from enpointe.nn.efficientnet import CHANNELS
from enpointe.nn.kd_order import in_kd_order
from enpointe.nn.layout import MAX_VIEWS, Layout, LayoutConfig
from enpointe.pipelines.families.pocket.base_stage import pair
from enpointe.pipelines.stage import Stage
from enpointe.render.point_views import ViewConfig, random_cameras, random_views, visible
from enpointe.training.levels import normal_levels
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch
from enpointe.training.tasks import RECIPES
from enpointe.training.text_to_cloud import FlowExamples, FlowTask, FlowTaskConfig, Times, to_model


@dataclass(frozen=True)
class LogitNormalTimes(Times):
    """Esser et al. 2024 (arXiv 2403.03206, section 3.1): the logit of t is normal."""

    mean: float = 0.3
    std: float = 1.2

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.sigmoid(self.mean + self.std * normal_levels(n, generator)).clamp(0.002, 0.998)


PLACES = 49
"""Of the grid that the image encoder sees a view as."""
_TIMES, _VIEWS = LogitNormalTimes(), ViewConfig()


@dataclass(frozen=True)
class LayoutExamples(FlowExamples):
    """How examples are drawn; `n_points` are read, and the first of them are the cloud.

    Attributes:
        image: how often views are given.
        views: how views are drawn.
        several: how often a batch has more than one view of each object, 2 to `MAX_VIEWS`.
        known: how often points are given: what a depth camera sees of the object, with its noise.
        camera_noise: standard deviation of the places of known points, model units.
    """

    times: Times = _TIMES
    draws: int = 2
    image: float = 0.4
    views: ViewConfig = _VIEWS
    several: float = 0.2
    known: float = 0.2
    camera_noise: float = 0.02


class LayoutTask(FlowTask[LayoutExamples]):
    """Clouds are put into kd order. Views and known points are given where the network takes them."""

    def prepare(self, batch: Batch, settings: LayoutExamples, generator: torch.Generator, *, training: bool) -> Batch:
        """As of every flow, and "image" (n, 1280, views * 49) and "known" (n, 6, known); zeros where there are none."""
        points, colors = self.varied(batch["points"], settings, generator, training=training), batch["colors"]
        network = self.network
        assert isinstance(network, Layout)
        n, more = network.n_points, {}
        if network.image is not None:
            more["image"] = _images(points, colors, settings, generator)
        if network.known is not None:
            more["known"] = _known(points[:, :n], colors[:, :n], network.n_known, settings, generator)
        made = self.noised(points[:, :n], colors[:, :n], batch["text"], settings, generator)
        return {**made, **{name: grid.repeat(settings.draws, 1, 1) for name, grid in more.items()}}

    def ordered(self, x0: Tensor) -> Tensor:
        return in_kd_order(x0)

    def stage(self, network: nn.Module) -> Stage:
        assert isinstance(network, Layout)
        detail, _ = read_network(embedded_path("detail"), Detail)
        return pair(network, detail.to(next(network.parameters()).device)).stage()


def _images(points: Tensor, colors: Tensor, settings: LayoutExamples, generator: torch.Generator) -> Tensor:
    """Features of one view of each object, or of several; zeros where none is given."""
    n, device = len(points), points.device
    chance = torch.rand(n + 1, generator=generator, device=device)
    several = torch.randint(2, MAX_VIEWS + 1, (), generator=generator, device=device)
    views = int(several) if chance[n] < settings.several else 1
    given = (chance[:n] < settings.image).nonzero().flatten()
    if not len(given):
        return points.new_zeros(n, CHANNELS, views * PLACES)
    encoder = image_encoder(device)
    grids = [
        encoder.encode_views(random_views(points[given], colors[given], generator, settings.views)).grid.flatten(2)
        for _ in range(views)
    ]
    grid = torch.cat(grids, dim=2).float()
    return grid.new_zeros(n, *grid.shape[1:]).index_copy_(0, given, grid)


def _known(
    points: Tensor, colors: Tensor, n_known: int, settings: LayoutExamples, generator: torch.Generator
) -> Tensor:
    """Points that one depth camera sees, in the frame in which they alone have longest side 1; zeros where none are.

    Of a partial cloud nobody knows where in the whole object it lies, or how large that is.
    """
    n, device = len(points), points.device
    seen = visible(points, random_cameras(n, settings.views, generator))
    pick = torch.multinomial(seen.float(), n_known, replacement=True, generator=generator)[..., None].expand(-1, -1, 3)
    part = points.gather(1, pick)
    low, high = part.amin(1, keepdim=True), part.amax(1, keepdim=True)
    part = (part - (low + high) / 2) / (high - low).amax(2, keepdim=True).clamp_min(1e-6)
    known = to_model(part, colors.gather(1, pick))
    known[:, :3] += settings.camera_noise * torch.randn(known[:, :3].shape, generator=generator, device=device)
    given = torch.rand(n, generator=generator, device=device) < settings.known
    return in_kd_order(known) * given[:, None, None]


@dataclass(frozen=True)
class LayoutTaskConfig(FlowTaskConfig[LayoutExamples]):
    """The layout network's task."""

    def build(self, data: Dataset, run: Path, *, seed: int) -> LayoutTask:
        return LayoutTask(data, self, seed=seed)

    def read_init(self, init: str) -> Weights:
        """Weights of a network of fewer conditions will do: the others begin without effect."""
        weights = super().read_init(init)
        assert isinstance(self.network, LayoutConfig)
        fresh = self.network.build().state_dict()
        texts_alone = replace(self.network, image=0, known=0).build().state_dict()
        new = {key: value for key, value in fresh.items() if key not in texts_alone and key not in weights.state}
        return replace(weights, state={**weights.state, **new})


RECIPES.register("pocket-layout")(
    Recipe(
        LayoutTaskConfig(LayoutConfig(image=CHANNELS, image_places=PLACES, known=512)),
        Settings(
            phases=(Phase(until=1.0, batch=64, examples=LayoutExamples(n_points=2048)),),
            learning_rate=1.5e-3,
            optimizer="muon",
            muon_scale=4.0,
            warmup=60,
            ema=(0.99, 0.998),
        ),
        minutes=240,
    )
)
