"""The classifier: a cloud's category from its shape alone, for P-FID and P-IS of such objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from enpointe.core.errors import InputError
from enpointe.data.datasets import Dataset, PoolDataset, map_parts, parts_of
from enpointe.data.example import Example
from enpointe.data.procedural.families import FAMILIES
from enpointe.geometry.unit_ball import normalized
from enpointe.nn.pointnet2 import Grouping, PointNet2, PointNet2Config, PointNet2Output
from enpointe.training.clouds import window
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Collated, Losses, TaskConfig
from enpointe.training.tasks import RECIPES

MODEL_CATEGORIES = ("cabinet", "door", "window")
"""Categories that only real models have. These are the nouns without a procedural family that name at least 15
models of nearly as many shapes; 42 banners and 22 wall sockets are a few shapes in many colors, which no
classifier of shapes should count as many."""
STRAY_TURN = np.radians(10)


@dataclass(frozen=True)
class ClassifierTaskConfig(TaskConfig["ClassifierExamples"]):
    """The classifier.

    Attributes:
        network: its `classes` is replaced by how many occur in the data.
        model_weight: a real model is drawn as often as so many procedural objects of its category: each has a shape
            of its own, and they are few. At 1, after half an hour, all of 720 held-out procedural objects were
            classified correctly and 35 of 59 real models.
    """

    network: PointNet2Config
    model_weight: float = 5.0

    def build(self, data: Dataset, run: Path, *, seed: int) -> ClassifierTask:
        return ClassifierTask(data, self, seed=seed)


@dataclass(frozen=True)
class ClassifierExamples:
    """How examples are drawn.

    Attributes:
        n_points: of a cloud.
        turned: share of the training clouds that are turned about z by any angle; the others by a few degrees
            (STRAY_TURN).
        stretch: each axis is stretched by up to this factor, or shrunk.
        jitter: points are moved by noise of up to this standard deviation, mostly by much less; clouds are about 1
            long.
    """

    n_points: int
    turned: float = 0.3
    stretch: float = 1.2
    jitter: float = 0.02


@lru_cache
def _of_noun() -> dict[str, str]:
    found = {name: name for name in MODEL_CATEGORIES}
    for family in reversed(FAMILIES.values()):  # of families that share a name, the first has it
        found |= dict.fromkeys(family.names, family.name)
    return found | {name: name for name in FAMILIES}


def category(nouns: Sequence[str]) -> str | None:
    """A procedural object's category is its family. A real model's is the first of its nouns, the closest first,
    that is one of a family's names or in MODEL_CATEGORIES; half of the models have none."""
    return next((_of_noun()[noun] for noun in nouns if noun in _of_noun()), None)


def categories(data: Dataset) -> tuple[str, ...]:
    """The categories that occur among the objects of pools, in a fixed order.

    Raises:
        InputError: some of the data are shards, which do not say what their objects are.
    """
    found = set()
    for part in parts_of(data):
        if not isinstance(part, PoolDataset):
            raise InputError("classifier's data: expected pools, found shards, whose objects have no categories")
        found |= {category(part.nouns(index)) for index in range(len(part.pool))}
    return tuple(name for name in (*FAMILIES, *MODEL_CATEGORIES) if name in found)


class ClassifierTask:
    """Cross entropy of the categories of clouds that are thinned, turned, stretched and noisy.

    Categories are drawn by the square root of their sizes, so that rare ones are learned too, and real models
    more often than procedural objects.

    Attributes:
        classes: the categories that occur in the data.

    Raises:
        InputError: the data have fewer than two categories.
    """

    text_tokens = 0

    def __init__(self, data: Dataset, config: ClassifierTaskConfig, *, seed: int = 0) -> None:
        self.classes = categories(data)
        if len(self.classes) < 2:
            raise InputError(f"classifier's data: expected at least 2 categories, found {', '.join(self.classes)}")
        network = replace(config.network, classes=len(self.classes))
        torch.manual_seed(seed)
        self._pointnet = network.build()
        self.network: nn.Module = self._pointnet
        self.network_info: dict[str, Any] = {
            **network.described(),
            "classes": list(self.classes),
        }
        self.data = map_parts(data, lambda part: _balanced(part, config.model_weight))
        self.collate = LabelCollate(self.classes)

    def prepare(
        self, batch: Batch, settings: ClassifierExamples, generator: torch.Generator, *, training: bool
    ) -> Batch:
        """Groups the points by their neighbors, which no compiler makes faster."""
        points = batch["points"]
        n, device = len(points), points.device
        start = torch.zeros(n, dtype=torch.long, device=device)
        if training:
            start = torch.randint(settings.n_points, (n,), generator=generator, device=device)
        groups = self._pointnet.group(points, start)
        found = {f"{key} {i}": value for i, group in enumerate(groups) for key, value in group._asdict().items()}
        return {**batch, **found}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Negative log likelihood of every cloud's category; also its probability."""
        output = _classified(network, batch)
        value = F.nll_loss(output.log_probs, batch["labels"], reduction="none")
        return Losses(value, metrics={"probability": value.detach().neg().exp()})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Probabilities of held-out objects: a row of squares for each category, bright where it is predicted."""
        device = next(network.parameters()).device
        settings = ClassifierExamples(n_points=1024)
        stream = self.data.split(held_out=True).stream()
        table = torch.zeros(len(self.classes), len(self.classes))
        for step in range(8):
            made = self.collate(list(islice(stream, 16)), settings, np.random.default_rng(step), training=False)
            batch = {key: value.to(device) for key, value in made.arrays.items()}
            ready = self.prepare(batch, settings, torch.Generator(device), training=False)
            table.index_add_(0, batch["labels"].cpu(), _classified(network, ready).log_probs.exp().float().cpu())
        table = table / table.sum(dim=1, keepdim=True).clamp_min(1e-9)
        gray = (255 * table.numpy()).astype(np.uint8).repeat(6, axis=0).repeat(6, axis=1)
        return np.repeat(gray[..., None], 3, axis=2)


@dataclass(frozen=True)
class LabelCollate:
    """Clouds and the numbers of their categories.

    Attributes:
        classes: the categories.
    """

    classes: tuple[str, ...]

    def __call__(
        self, examples: Sequence[Example], settings: ClassifierExamples, rng: np.random.Generator, *, training: bool
    ) -> Collated:
        """Clouds (n, 3, n_points) in the unit ball, labels (n,). Held-out clouds are not degraded."""
        clouds = [window(example, settings.n_points, rng)[0] for example in examples]
        if training:
            clouds = [degraded(cloud, settings, rng) for cloud in clouds]
        points = torch.from_numpy(normalized(np.stack(clouds)).astype(np.float32))
        labels = torch.tensor([self.label(example) for example in examples])
        return Collated({"points": points.transpose(1, 2).contiguous(), "labels": labels})

    def label(self, example: Example) -> int:
        """The number of an example's category."""
        found = category(example.nouns)
        assert found is not None, "objects without a category have weight 0"
        return self.classes.index(found)


def _balanced(part: Dataset, model_weight: float) -> PoolDataset:
    """A pool's objects that have a category; these are drawn by the square root of their sizes."""
    assert isinstance(part, PoolDataset)
    size = len(part.pool)
    names = [category(part.nouns(index)) for index in range(size)]
    weights = np.array([0.0 if name is None else 1.0 for name in names])
    weights[[part.pool.model(index) is not None for index in range(size)]] *= model_weight
    total: dict[str | None, float] = {}
    for index in part.split(held_out=False).objects:
        total[names[index]] = total.get(names[index], 0.0) + weights[index]
    # sqrt(total) of a category, shared out by the weights of its objects; a held-out one may have no total.
    return part.weighted(weights / np.sqrt([total.get(name) or 1.0 for name in names]))


def _classified(network: nn.Module, batch: Batch) -> PointNet2Output:
    groups = [Grouping(*(batch[f"{key} {i}"] for key in Grouping._fields)) for i in range(2)]
    output: PointNet2Output = network(batch["points"], groups=groups)
    return output


def degraded(cloud: NDArray[np.float32], examples: ClassifierExamples, rng: np.random.Generator) -> NDArray[np.float32]:
    """The cloud (n, 3) turned about z, mirrored half of the time, stretched, and with noise."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < examples.turned else rng.normal(0, STRAY_TURN)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    stretch = examples.stretch ** rng.uniform(-1, 1, 3) * [rng.choice([-1, 1]), 1, 1]
    noise = rng.normal(0, examples.jitter * rng.random() ** 2, cloud.shape)
    return ((cloud * stretch) @ turn.T + noise).astype(np.float32)


def held_out_objects(data: Dataset) -> Iterator[tuple[Example, bool]]:
    """The held-out objects of a classifier's data, and of each whether it is a real model."""
    for part in parts_of(data.split(held_out=True)):
        assert isinstance(part, PoolDataset)
        for place, index in enumerate(part.objects.tolist()):
            yield part[place], part.pool.model(index) is not None


@torch.inference_mode()
def quality(
    objects: Iterable[tuple[Example, bool]],
    classes: Sequence[str],
    network: PointNet2,
    sizes: Sequence[int] = (1024, 4096),
) -> dict[str, Any]:
    """How well a network classifies objects, at several numbers of points.

    Args:
        objects: such as `held_out_objects`.
        network: in evaluation mode, of these classes.
        sizes: points of a cloud.

    Returns:
        The numbers of objects, and for each size: the shares that are right, right on average over the
        categories, and right among the five most probable; the share of the real models alone; and the commonest
        mistakes as [category, predicted, times].
    """
    examples, is_real = zip(*objects, strict=True)
    label = LabelCollate(tuple(classes)).label
    labels, real = np.array([label(example) for example in examples]), np.array(is_real)
    found: dict[str, Any] = {"objects": len(labels), "real models": int(real.sum())}
    for size in sizes:
        rng = np.random.default_rng(0)
        ranked = []
        for first in range(0, len(labels), 8):
            clouds = normalized(np.stack([window(one, size, rng)[0] for one in examples[first : first + 8]]))
            points = torch.from_numpy(clouds.astype(np.float32)).transpose(1, 2)
            ranked.append(network(points).log_probs.topk(min(5, len(classes)), dim=1).indices.numpy())
        order = np.concatenate(ranked)
        right = order[:, 0] == labels
        found[f"{size} points"] = {
            "right": _rounded(right),
            "right, mean over categories": _rounded(
                np.array([right[labels == label].mean() for label in np.unique(labels)])
            ),
            "right among five": _rounded((order == labels[:, None]).any(axis=1)),
            "right, real models": _rounded(right[real]) if real.any() else None,
            "mistakes": _mistakes(classes, labels[~right], order[~right, 0]),
        }
    return found


def _rounded(values: NDArray[Any]) -> float:
    return round(float(values.mean()), 4)


def _mistakes(
    classes: Sequence[str], true: NDArray[np.int64], taken: NDArray[np.int64], most: int = 12
) -> list[tuple[str, str, int]]:
    pairs, times = np.unique(np.stack([true, taken], axis=1), axis=0, return_counts=True)
    order = np.argsort(-times, kind="stable")[:most]
    return [(classes[pairs[i, 0]], classes[pairs[i, 1]], int(times[i])) for i in order]


RECIPES.register("pocket-classifier")(
    Recipe(
        # Half of the paper's centers and fewer neighbors: a fifth of its work. Centers come farthest first, so that
        # the first 16 in a ball of the second level are spread over it.
        ClassifierTaskConfig(PointNet2Config(classes=2, samples=(256, 64), neighbours=(16, 16))),
        Settings(
            phases=(Phase(until=1.0, batch=32, examples=ClassifierExamples(n_points=1024)),),
            learning_rate=2e-3,
            weight_decay=0.05,
        ),
        minutes=30,
    )
)
