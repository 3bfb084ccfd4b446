"""The joint model: texts and images of the same thing lie close together, of other things apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.data.datasets import Dataset, Mixture, PoolDataset
from enpointe.data.example import Example
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.encoders.minilm import WIDTH as TEXT_WIDTH
from enpointe.nn.efficientnet import CHANNELS, STATISTICS
from enpointe.nn.joint import JointConfig
from enpointe.training.image_text import (
    CAPTIONS,
    VIEWS,
    FeatureDataset,
    ImageText,
    make_image_text,
    names_color,
    read_image_text,
)
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig
from enpointe.training.tasks import RECIPES
from enpointe.training.text_to_cloud import PROMPTS

HELD_OUT = 0.1
"""Of the pool's objects."""
PROMPTS_HELD_OUT = frozenset((
    *PROMPTS, "a red sailboat", "a green armchair", "a yellow mug", "a grey castle",
))  # fmt: skip
"""No caption for training is one of these: those of the base model's images and of the gallery."""


@dataclass(frozen=True)
class JointTaskConfig(TaskConfig["JointExamples"]):
    """The joint model.

    Attributes:
        network: the heads on the two encoders' features.
        objects: how many are shown, with two images of each.
    """

    network: JointConfig
    objects: int

    def make_data(self, data: Dataset, run: Path, progress: ProgressCallback = no_progress) -> None:
        """Images and captions as features: a quarter of an hour for 9,000 objects, on a core that is idle."""
        make_image_text(_only_pool(data), run / "image_text", self.objects, progress=progress)

    def build(self, data: Dataset, run: Path, *, seed: int) -> JointTask:
        return JointTask(_only_pool(data), read_image_text(run / "image_text"), self, seed=seed)


@dataclass(frozen=True)
class JointExamples:
    """How examples are drawn.

    Attributes:
        noise: added to an image's features while training, in units of their spread: a slightly smaller image
            changes them by about half of it.
    """

    noise: float = 0.5


class JointTask:
    """Symmetric InfoNCE over a batch of images and one caption of each.

    A text that is also true of another image of the batch, as far as noun and main color tell, is not a negative
    example of it: that pair is left out.

    Args:
        pool: that the features were made of.
        features: see `image_text.make_image_text`.
        config: the sizes of its inputs are those of the features.

    Raises:
        InputError: the features are not of this pool, or too few.
    """

    text_tokens = 0

    def __init__(self, pool: Pool, features: ImageText, config: JointTaskConfig, *, seed: int = 0) -> None:
        sizes = config.network
        if features.index.max() >= len(pool):
            raise InputError(f"features: expected those of a pool of {len(pool)} objects, found another's")
        found = (features.texts.shape[-1], features.images.shape[-1])
        if found != (sizes.texts, sizes.pictures):
            raise InputError(f"features: expected sizes {(sizes.texts, sizes.pictures)}, found {found}")
        held_out = np.isin(features.index, pool.split(HELD_OUT)[1])
        collate = JointCollate(pool, features)
        training = [row for row in np.flatnonzero(~held_out).tolist() if collate.captions(row)]
        self.data: Dataset = FeatureDataset(features, tuple(training), tuple(np.flatnonzero(held_out).tolist()))
        if not self.data.split(held_out=False).size or not self.data.split(held_out=True).size:
            raise InputError(f"features: expected more than {len(features.index)} objects, some of them held out")
        torch.manual_seed(seed)
        heads = sizes.build()
        self.network: nn.Module = heads
        self.network_info: dict[str, Any] = sizes.described()
        self.collate = collate
        heads.pictures.standardize(torch.from_numpy(features.images[training]).float().flatten(0, 1))
        heads.texts.standardize(torch.from_numpy(features.texts[training]).float().flatten(0, 1))
        self._spread = heads.pictures.spread.clone()

    def prepare(self, batch: Batch, settings: JointExamples, generator: torch.Generator, *, training: bool) -> Batch:
        """Noise on the images' features."""
        images = batch["images"]
        if training:
            noise = torch.randn(images.shape, generator=generator, device=images.device)
            images = images + settings.noise * self._spread.to(images.device) * noise
        return {**batch, "images": images}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Mean of both cross entropies; also the share of texts that an image is nearer to than to its own."""
        texts, images, scale = network(batch["texts"], batch["images"])
        with torch.autocast(texts.device.type, enabled=False):
            logits = (images.float() @ texts.float().T * scale).masked_fill(batch["also"], -torch.inf)
            own = torch.arange(len(logits), device=logits.device)
            value = F.cross_entropy(logits, own, reduction="none") + F.cross_entropy(logits.T, own, reduction="none")
            nearer = (logits > logits.diagonal()[:, None]).float().mean(1)
        return Losses(value / 2, metrics={"nearer texts": nearer.detach()})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Cosines of 64 held-out images (rows) and their texts (columns), black -1 to white 1."""
        device = next(network.parameters()).device
        examples = list(islice(self.data.split(held_out=True).stream(), 64))
        batch = self.collate(examples, JointExamples(), np.random.default_rng(0), training=False).arrays
        texts, images, _ = network(batch["texts"].to(device), batch["images"].to(device))
        cosines: Tensor = (images.float() @ texts.float().T).detach().cpu()
        gray = ((cosines.numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)
        return np.repeat(np.kron(gray, np.ones((8, 8), np.uint8))[..., None], 3, axis=2)


class JointCollate:
    """Features of images and of one caption of each, by their rows."""

    def __init__(self, pool: Pool, features: ImageText) -> None:
        self._features = features
        groups = sorted({pool.family[i] for i in features.index})
        self._group = np.array([groups.index(pool.family[i]) for i in features.index])
        self._related = related([_nouns(pool, name) for name in groups])
        colors = sorted(set(features.color))
        self._color = np.array([colors.index(name) if name else -1 for name in features.color])
        rows = list(zip(features.captions, features.color, strict=True))
        # The color is not known of texts that name none, and of models in their own; -1 agrees with any.
        self._colored = np.array([[bool(name) and names_color(text, name) for text in texts] for texts, name in rows])

    def captions(self, row: int) -> list[int]:
        """Which captions of a row may be trained on."""
        return [i for i, text in enumerate(self._features.captions[row]) if text not in PROMPTS_HELD_OUT]

    def __call__(
        self, examples: Sequence[Example], settings: JointExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Features of images (n, f) and texts (n, 384), and which text is also true of which image (n, n)."""
        rows = np.array([int(example.key) for example in examples])
        view = rng.integers(VIEWS, size=len(rows))
        if training:
            which = np.array([rng.choice(self.captions(row)) for row in rows])
        else:
            which = rng.integers(CAPTIONS, size=len(rows))
        group, color = self._group[rows], self._color[rows]
        named = np.where(self._colored[rows, which], color, -1)
        agree = (named[None] == color[:, None]) | (named[None] < 0) | (color[:, None] < 0)
        also = self._related[group[:, None], group[None]] & agree
        np.fill_diagonal(also, False)
        return Collated(
            {
                "images": torch.from_numpy(self._features.images[rows, view]).float(),
                "texts": torch.from_numpy(self._features.texts[rows, which]).float(),
                "also": torch.from_numpy(also),
            }
        )


def _only_pool(data: Dataset) -> Pool:
    if not isinstance(data, PoolDataset):
        found = "a mixture" if isinstance(data, Mixture) else "shards"
        raise InputError(f"joint model's data: expected one pool, found {found}")
    return data.pool


def related(nouns: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """(n, n): whether a text about one group could be about the other: a noun of one is, or ends like, the other's."""
    ends = [{end for noun in group for end in _ends(noun)} for group in nouns]
    whole = [set(group) for group in nouns]
    both = list(zip(whole, ends, strict=True))
    return np.array([[bool(a & its_ends or b & my_ends) for b, its_ends in both] for a, my_ends in both])


def _ends(noun: str) -> list[str]:
    """ "red sports car" -> itself, "sports car", "car"; "bowl of stew" -> itself, "of stew", "stew", "bowl"."""
    found = []
    for whole in {noun, re.split(r" (?:of|with|under|on|in) ", noun)[0]}:
        words = whole.split()
        found += [" ".join(words[i:]) for i in range(len(words))]
    return found


def _nouns(pool: Pool, group: str) -> Sequence[str]:
    if group in FAMILIES:
        return FAMILIES[group].names
    return pool.models[int(group.partition("/")[2])].nouns


RECIPES.register("pocket-joint")(
    Recipe(
        JointTaskConfig(
            JointConfig(texts=TEXT_WIDTH, pictures=CHANNELS + STATISTICS, hidden=768, width=256), objects=9_088
        ),
        Settings(
            phases=(Phase(until=1.0, batch=512, examples=JointExamples()),),
            learning_rate=2e-3,
            weight_decay=0.3,
            validate_every=0.5,
        ),
        minutes=5,
    )
)
