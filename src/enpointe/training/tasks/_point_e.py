"""The released diffusion networks (arXiv 2212.08751), from nothing or from the released weights.

The paper states (section 4, appendix A): networks, 1,024 diffusion steps, a cosine schedule for base models and a
linear one for the upsampler, the noise and its variance learned as by Nichol and Dhariwal (arXiv 2102.09672), batches
of 64 for 1,300,000 iterations, the learning rates of the recipes, conditions left out in a tenth of the examples. It
does not state optimizer, weight decay, warm-up, clipping or averages (here no decay, and what `Settings` has), nor
which points are the upsampler's coarse ones (here a random subset).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from enpointe.checkpoints.adapters import IMAGE
from enpointe.checkpoints.loading import load_released
from enpointe.checkpoints.registry import released_models
from enpointe.checkpoints.released import RELEASED
from enpointe.checkpoints.weights import Weights
from enpointe.core.errors import InputError
from enpointe.data.datasets import Dataset
from enpointe.data.example import Example
from enpointe.diffusion.loss import eps_loss
from enpointe.diffusion.noise import SeededNoise
from enpointe.encoders.clip import Clip, clip, token_ids
from enpointe.encoders.images import clip_pixels
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.families.point_e.drawing import COARSE_POINTS, released_stage
from enpointe.pipelines.families.point_e.presets import PRESETS
from enpointe.render.contact_sheet import contact_sheet
from enpointe.render.software.splats import splat
from enpointe.training.clouds import window
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig

if TYPE_CHECKING:
    from transformers import CLIPTokenizerFast

Takes = Literal["text vector", "image vector", "image grid", "nothing"]
"""What a network sees through CLIP."""

TAKES: dict[str, Takes] = {
    "base40M-textvec": "text vector",
    "base40M-imagevec": "image vector",
    "base40M-uncond": "nothing",
    "base40M": "image grid",
    "base300M": "image grid",
    "base1B": "image grid",
    "upsample": "image grid",
}
ITERATIONS, BATCH = 1_300_000, 64
SHOWN = 4
"""Clouds of a run's images."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class PointEExamples:
    """How examples are drawn.

    Attributes:
        drop: how often the condition is left out, for guidance.
    """

    drop: float = 0.1


@dataclass(frozen=True)
class PointETaskConfig(TaskConfig[PointEExamples]):
    """A released diffusion network.

    Attributes:
        model: one of `RELEASED`.
        recompute: see `Transformer`; what the larger networks keep, or those of many points, takes more than weights.
        load_clip: where conditions come from.
    """

    model: str
    recompute: bool = False
    load_clip: Callable[[torch.device], Clip] = field(default=clip, repr=False)

    def build(self, data: Dataset, run: Path, *, seed: int) -> PointETask:
        return PointETask(data, self, seed=seed)

    def read_init(self, init: str) -> Weights:
        return read_released(self.model, init)


class PointETask:
    """Prediction of the noise, and of its variance, with CLIP's view of a text or an image as the condition.

    Raises:
        InputError: transformers is not installed, which CLIP needs. WeightsError: CLIP's weights are not there.
    """

    text_tokens = 0

    def __init__(self, data: Dataset, config: PointETaskConfig, *, seed: int = 0) -> None:
        model = RELEASED[config.model]
        torch.manual_seed(seed)
        network = model.config.build()
        network.backbone.recompute = config.recompute
        self.network: nn.Module = network
        self.network_info: dict[str, Any] = {
            **model.config.described(), "prediction": "eps", "released": config.model,
        }  # fmt: skip
        self.data = data
        self._name, self._model, self._takes = config.model, model, TAKES[config.model]
        self._coarse = COARSE_POINTS if model.config.low_res else 0
        self._clip = None if self._takes == "nothing" else config.load_clip(CPU)
        self.collate = ConditionCollate.of(self._takes, self._coarse + model.n_points, self._clip)

    def prepare(self, batch: Batch, settings: PointEExamples, generator: torch.Generator, *, training: bool) -> Batch:
        """Clouds x0 (n, 6, P) in the network's units, noise like it, index (n,) of the process, and conditions.

        These are "vector" (n, 768) or "grid" (n, 1024, 256), zeros where they are left out, and the upsampler's
        "low_res" (n, 6, 1024) in world units.
        """
        n, device = len(batch["points"]), batch["points"].device
        keep = torch.rand(n, generator=generator, device=device) >= settings.drop
        ready = {
            name: value * keep.reshape(-1, *[1] * (value.ndim - 1)) for name, value in self._condition(batch).items()
        }
        world = torch.cat([batch["points"], batch["colors"] * 255], dim=-1).transpose(1, 2)
        if self._coarse:
            ready["low_res"] = world[..., : self._coarse].contiguous()
        x0 = self._model.scaling.to_model(world[..., self._coarse :])
        return {
            **ready,
            "x0": x0,
            "noise": torch.randn(x0.shape, generator=generator, device=device),
            "index": torch.randint(len(self._model.process), (n,), generator=generator, device=device),
        }

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """The release's loss, see `eps_loss`, and its two parts; the noise level is the step's part of them all."""
        process, index = self._model.process, batch["index"]
        found = eps_loss(network, process, batch["x0"], index, batch["noise"], **_arguments(batch))
        parts = {"noise error": found.mse.detach(), "variance bound": found.vb.detach()}
        return Losses(found.loss, index / len(process), parts)

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Clouds of held-out conditions, as the preset "fast" draws them; seed 0 for all."""
        assert isinstance(network, PointTransformer)
        device, settings = next(network.parameters()).device, PointEExamples(drop=0.0)
        examples = list(islice(self.data.split(held_out=True).stream(), SHOWN))
        arrays = self.collate(examples, settings, np.random.default_rng(0), training=False).arrays
        batch = {name: value.to(device) for name, value in arrays.items()}
        ready = self.prepare(batch, settings, torch.Generator(device).manual_seed(0), training=False)
        preset = PRESETS["base40M"]["fast"]
        sampling = preset.upsampler if self._coarse else preset.base
        stage = released_stage(network, self._name, sampling, preset, dtype=torch.float32)
        cond = _arguments(ready)
        low_res = cond.pop("low_res", None)
        *_, last = stage.run(cond, SeededNoise([0] * SHOWN, device), n_samples=SHOWN, low_res=low_res)
        clouds = last.x.cpu().numpy().transpose(0, 2, 1)
        return contact_sheet(
            [splat(cloud[:, :3], (cloud[:, 3:] / 255).clip(0, 1), azimuth=35, size=160) for cloud in clouds],
            columns=SHOWN,
        )

    def _condition(self, batch: Batch) -> dict[str, Tensor]:
        """What CLIP makes of a batch's texts or images."""
        encoder = self._clip
        if encoder is None:
            return {}
        encoder.model.to(batch["points"].device)
        if self._takes == "image grid":
            return {"grid": encoder.grids_of(batch["pixels"]).float()}
        text = self._takes == "text vector"
        return {"vector": (encoder.texts_of(batch["ids"]) if text else encoder.vectors_of(batch["pixels"])).float()}


@dataclass(frozen=True)
class ConditionCollate:
    """Clouds, and what CLIP is to see of each.

    Attributes:
        n_points: of a cloud.
        image_size: of images in pixels, where there are images.
        tokenizer, max_tokens: of texts, where there are texts.
    """

    n_points: int
    image_size: int | None = None
    tokenizer: CLIPTokenizerFast | None = None
    max_tokens: int = 0

    @classmethod
    def of(cls, takes: Takes, n_points: int, encoder: Clip | None) -> ConditionCollate:
        """For a network that takes this, through that CLIP."""
        if encoder is None:
            return cls(n_points)
        if takes == "text vector":
            return cls(n_points, tokenizer=encoder.tokenizer, max_tokens=encoder.max_tokens)
        return cls(n_points, image_size=encoder.image_size)

    def __call__(
        self, examples: Sequence[Example], settings: PointEExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Points and colors (n, n_points, 3); "ids" (n, L) of a caption or "pixels" (n, 3, S, S) of a view.

        In training any caption and view, of held-out examples the first.

        Raises:
            InputError: an example has fewer points than the network draws, or no view where there are to be images.
        """
        for example in examples:
            if len(example.points) < self.n_points:
                raise InputError(f"clouds: expected at least {self.n_points} points, found {len(example.points)}")
        parts = [window(example, self.n_points, rng) for example in examples]
        points, colors = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts, strict=True))
        arrays = {"points": points, "colors": colors}
        if self.image_size is not None:
            images = [_image(example, rng if training else None) for example in examples]
            arrays["pixels"] = torch.stack([clip_pixels(image, self.image_size) for image in images])
        if self.tokenizer is not None:
            texts = [one.captions[int(rng.integers(len(one.captions))) if training else 0] for one in examples]
            arrays["ids"] = token_ids(self.tokenizer, texts, self.max_tokens, whole=True)
        return Collated(arrays)


def _image(example: Example, rng: np.random.Generator | None) -> Image.Image:
    """A view, any with a generator, else the first; on white, under lights where it was rendered so."""
    if not example.views:
        raise InputError(f"images: expected views of every example, found none of {example.key}; pools have none")
    view = example.views[0 if rng is None else int(rng.integers(len(example.views)))]
    lit = view.lit_pixels()
    image = Image.fromarray(view.pixels() if lit is None else lit).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _arguments(batch: Batch) -> dict[str, Any]:
    """A batch's conditions as the network takes them."""
    cond: dict[str, Any] = {name: batch[name] for name in ("vector", "low_res") if name in batch}
    return {**cond, "grids": {IMAGE: batch["grid"]}} if "grid" in batch else cond


def read_released(model: str, init: str) -> Weights:
    """Released weights by their name, or a file of the model's, as a run or the release left it.

    Raises:
        InputError, WeightsError, OutputError: see `load_released`.
    """
    named = init in released_models()
    network, digest = load_released(init if named else model, path=None if named else Path(init))
    return Weights(network.state_dict(), {}, digest)


def released_recipe(model: str, *, learning_rate: float, recompute: bool = False) -> Recipe[PointEExamples]:
    """A released network's recipe: the paper's for all, but for the learning rate."""
    return Recipe(
        PointETaskConfig(model, recompute=recompute),
        Settings(
            phases=(Phase(until=1.0, batch=BATCH, examples=PointEExamples()),),
            learning_rate=learning_rate,
            weight_decay=0.0,
            ema=(0.9999,),
        ),
        steps=ITERATIONS,
    )
