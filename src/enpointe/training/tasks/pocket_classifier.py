"""The classifier: a cloud's category from its shape alone, for P-FID and P-IS of such objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from enpointe.core.errors import InputError
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.geometry.unit_ball import normalized
from enpointe.nn.pointnet2 import Grouping, PointNet2, PointNet2Config, PointNet2Output
from enpointe.training.recipe import Recipe
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses, TaskConfig
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
        network: its `classes` is replaced by how many occur in the pool.
        model_weight: a real model is drawn as often as so many procedural objects of its category: each has a shape
            of its own, and they are few. At 1, after half an hour, all of 720 held-out procedural objects were
            classified correctly and 35 of 59 real models.
    """

    network: PointNet2Config
    model_weight: float = 5.0

    def build(self, data: Pool, run: Path, *, seed: int) -> ClassifierTask:
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


def categories(pool: Pool) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The categories that occur in a pool, in a fixed order, and each object's among them, -1 for none.

    A procedural object's category is its family. A real model's is the first of its nouns, the closest first,
    that is one of a family's names or in MODEL_CATEGORIES; half of the models have none.
    """
    of_noun = {name: name for name in MODEL_CATEGORIES}
    for family in reversed(FAMILIES.values()):  # of families that share a name, the first has it
        of_noun |= dict.fromkeys(family.names, family.name)
    of_noun |= {name: name for name in FAMILIES}
    found: list[str | None] = []
    for index, name in enumerate(pool.family):
        model = pool.model(index)
        found.append(name if model is None else next((of_noun[n] for n in model.nouns if n in of_noun), None))
    names = tuple(name for name in (*FAMILIES, *MODEL_CATEGORIES) if name in found)
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([-1 if name is None else place[name] for name in found], dtype=np.int64)


class ClassifierTask:
    """Cross entropy of the categories of clouds that are thinned, turned, stretched and noisy.

    Categories are drawn by the square root of their sizes, so that rare ones are learned too, and real models
    more often than procedural objects.

    Attributes:
        classes: the categories that occur in the pool.
        labels: of each of its objects, -1 for none.
        held_out: the objects to validate on.

    Raises:
        InputError: the pool has fewer than two categories.
    """

    def __init__(self, pool: Pool, config: ClassifierTaskConfig, *, seed: int = 0) -> None:
        self.classes, self.labels = categories(pool)
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
        self._pool = pool
        training, self.held_out = (part[self.labels[part] >= 0] for part in pool.split())
        self._training = [training[self.labels[training] == label] for label in range(len(self.classes))]
        weights = [
            np.array([config.model_weight if self.is_real(int(i)) else 1.0 for i in objects])
            for objects in self._training
        ]
        self._within = [weight / weight.sum() for weight in weights]
        share = np.sqrt([weight.sum() for weight in weights])
        self._share = share / share.sum()

    def batch(self, rng: np.random.Generator, n: int, examples: ClassifierExamples, *, training: bool) -> Batch:
        """Clouds (n, 3, n_points) in the unit ball, labels (n,), where sampling starts (n,), a seed for the dropout."""
        n_points = examples.n_points
        if training:
            drawn = rng.choice(len(self._share), n, p=self._share)
            indices = np.array([rng.choice(self._training[label], p=self._within[label]) for label in drawn])
            clouds = [degraded(self.cloud(int(index), n_points, rng), examples, rng) for index in indices]
        else:
            indices = rng.choice(self.held_out, n)
            clouds = [self.cloud(int(index), n_points, rng) for index in indices]
        points = normalized(np.stack(clouds)).astype(np.float32)
        return {
            "points": torch.from_numpy(points).transpose(1, 2).contiguous(),
            "labels": torch.from_numpy(self.labels[indices]),
            "start": torch.from_numpy(rng.integers(n_points, size=n) if training else np.zeros(n, np.int64)),
            "seed": torch.tensor(int(rng.integers(2**31))),
        }

    def cloud(self, index: int, n_points: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """`n_points` points of an object (n_points, 3), repeated if it has fewer."""
        points = self._pool.stored_points(index)
        return points[(int(rng.integers(len(points))) + np.arange(n_points)) % len(points)]

    def is_real(self, index: int) -> bool:
        """Whether an object is a real model, not a procedural one."""
        return self._pool.model(index) is not None

    def prepare(self, batch: Batch) -> Batch:
        """Groups the points by their neighbors, which no compiler makes faster, and seeds the dropout.

        Without that seed, a resumed run would drop other activations than a run that was never stopped.
        """
        torch.manual_seed(int(batch["seed"]))
        groups = self._pointnet.group(batch["points"], batch["start"])
        found = {f"{key} {i}": value for i, group in enumerate(groups) for key, value in group._asdict().items()}
        return {**batch, **found}

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        """Negative log likelihood of every cloud's category; also its probability."""
        output = _classified(network, batch)
        value = F.nll_loss(output.log_probs, batch["labels"], reduction="none")
        return Losses(value, metrics={"probability": value.detach().neg().exp()})

    def image(self, network: nn.Module) -> NDArray[np.uint8]:
        """Probabilities of held-out objects: a row of squares for each category, bright where it is predicted."""
        rng = np.random.default_rng(0)
        device = next(network.parameters()).device
        examples = ClassifierExamples(n_points=1024)
        table = torch.zeros(len(self.classes), len(self.classes))
        for _ in range(8):
            batch = {key: value.to(device) for key, value in self.batch(rng, 16, examples, training=False).items()}
            probabilities = _classified(network, self.prepare(batch)).log_probs.exp().float().cpu()
            table.index_add_(0, batch["labels"].cpu(), probabilities)
        table = table / table.sum(dim=1, keepdim=True).clamp_min(1e-9)
        gray = (255 * table.numpy()).astype(np.uint8).repeat(6, axis=0).repeat(6, axis=1)
        return np.repeat(gray[..., None], 3, axis=2)


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


@torch.inference_mode()
def quality(task: ClassifierTask, network: PointNet2, sizes: Sequence[int] = (1024, 4096)) -> dict[str, Any]:
    """How well a network classifies all held-out objects, at several numbers of points.

    Args:
        network: in evaluation mode, of the task's classes.
        sizes: points of a cloud.

    Returns:
        The numbers of objects, and for each size: the shares that are right, right on average over the
        categories, and right among the five most probable; the share of the real models alone; and the commonest
        mistakes as [category, predicted, times].
    """
    labels = task.labels[task.held_out]
    real = np.array([task.is_real(int(index)) for index in task.held_out])
    found: dict[str, Any] = {"objects": len(labels), "real models": int(real.sum())}
    for size in sizes:
        rng = np.random.default_rng(0)
        ranked = []
        for first in range(0, len(labels), 8):
            part = task.held_out[first : first + 8]
            clouds = normalized(np.stack([task.cloud(int(index), size, rng) for index in part]))
            points = torch.from_numpy(clouds.astype(np.float32)).transpose(1, 2)
            ranked.append(network(points).log_probs.topk(min(5, len(task.classes)), dim=1).indices.numpy())
        order = np.concatenate(ranked)
        right = order[:, 0] == labels
        found[f"{size} points"] = {
            "right": _rounded(right),
            "right, mean over categories": _rounded(
                np.array([right[labels == label].mean() for label in np.unique(labels)])
            ),
            "right among five": _rounded((order == labels[:, None]).any(axis=1)),
            "right, real models": _rounded(right[real]) if real.any() else None,
            "mistakes": _mistakes(task.classes, labels[~right], order[~right, 0]),
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
            ema=0.995,
        ),
        minutes=30,
    )
)
