"""The classifier's task: categories, its clouds, that it learns, and how it is measured."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from enpointe.checkpoints.weights import load_into, read_weights
from enpointe.core.config import from_dict
from enpointe.core.errors import InputError
from enpointe.data.datasets import PoolDataset, ShardDataset
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.geometry.unit_ball import normalized
from enpointe.nn.pointnet2 import PointNet2, PointNet2Config, PointNet2Output
from enpointe.training.settings import Phase, Settings
from enpointe.training.task import Batch, Losses
from enpointe.training.tasks.pocket_classifier import (
    ClassifierExamples,
    ClassifierTask,
    ClassifierTaskConfig,
    categories,
    category,
    degraded,
    held_out_objects,
    quality,
)
from training.drawing import collated, drawn

NETWORK = PointNet2Config(classes=2, width=0.125, samples=(12, 6), neighbours=(6, 6))
CONFIG = ClassifierTaskConfig(NETWORK)
EXAMPLES = ClassifierExamples(n_points=64)
SETTINGS = Settings(
    (Phase(1.0, 8, EXAMPLES),), learning_rate=5e-3, warmup=2, ema=(0.9,), compile=False, validate_every=1e9,
    checkpoint_every=1e9, image_every=1e9,
)  # fmt: skip


@pytest.fixture(scope="module")
def both(data: Pool) -> Pool:
    """The procedural objects twice over, so that each has a like one which may be held out, and four real models."""
    nouns = (("club chair", "armchair", "chair"), ("cabinet",), ("pot lid",), ("wardrobe door", "door"))
    models = tuple(RealModel(f"m{i}", words, np.ones((1, 3), np.float32), "", "", "") for i, words in enumerate(nouns))
    places = np.concatenate([np.tile(np.arange(8), 5), np.arange(4)])
    family = [data.family[i] for i in places[:40]] + [f"model/{i}" for i in range(4)]
    slot = data.slot[places]
    slot[40:] = 0
    sdf = data.sdf[places]
    sdf[40:] = np.nan
    return replace(
        data, points=data.points[places], slot=slot, queries=data.queries[places], sdf=sdf, family=family,
        words=[data.words[i] for i in places], models=models,
    )  # fmt: skip


def test_categories(both: Pool) -> None:
    """Families first, then what only models are; a model is the first of its nouns that is a category."""
    dataset = PoolDataset(both)
    assert categories(dataset) == (*both.family[:8], "armchair", "cabinet", "door")
    found = [category(dataset.nouns(i)) for i in range(len(both))]
    assert found == [*both.family[:40], "armchair", "cabinet", None, "door"]


def test_shards_have_no_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShardDataset, "__post_init__", lambda self: None)
    with pytest.raises(InputError, match="expected pools, found shards"):
        categories(ShardDataset("anywhere"))


def test_one_category_is_refused(data: Pool) -> None:
    one = replace(data, family=data.family[:1] * len(data), slot=np.zeros_like(data.slot))
    with pytest.raises(InputError, match="at least 2 categories, found car"):
        ClassifierTask(PoolDataset(one), CONFIG)


def test_a_batch_is_a_function_of_the_generator(both: Pool) -> None:
    task = ClassifierTask(PoolDataset(both), CONFIG)
    one, two, other = (collated(task, EXAMPLES, seed).arrays for seed in (3, 3, 4))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("training", [True, False])
def test_clouds_are_normalised_as_for_the_scores(both: Pool, training: bool) -> None:
    task = ClassifierTask(PoolDataset(both), CONFIG)
    clouds = collated(task, EXAMPLES, n=32, training=training).arrays["points"].mT
    np.testing.assert_allclose(normalized(clouds.numpy()), clouds, atol=1e-6)


def test_held_out_clouds_are_as_they_are(both: Pool) -> None:
    """Subsets of held-out objects' points, neither turned nor stretched, with their own labels."""
    task = ClassifierTask(PoolDataset(both), CONFIG)
    held_out = PoolDataset(both).split(held_out=True)
    assert task.data.split(held_out=True).size == sum(category(held_out.nouns(i)) is not None for i in held_out.objects)
    # All 128 points that are stored, in some order.
    made = collated(task, ClassifierExamples(128), n=12, training=False).arrays
    wholes = {
        task.classes.index(found): normalized(both.stored_points(int(i))[None])[0]
        for i in held_out.objects
        if (found := category(held_out.nouns(int(i)))) is not None
    }
    for points, label in zip(made["points"].mT, made["labels"], strict=True):
        whole = wholes[int(label)]
        np.testing.assert_allclose(points[np.lexsort(points.numpy().T)], whole[np.lexsort(whole.T)], atol=1e-5)


def test_rare_categories_are_drawn_by_the_root_of_their_sizes(both: Pool) -> None:
    task = ClassifierTask(PoolDataset(both), CONFIG)
    labels = collated(task, ClassifierExamples(1), n=4000).arrays["labels"]
    counts = torch.bincount(labels, minlength=len(task.classes)).numpy()
    training = both.split()[0]
    found = [category(PoolDataset(both).nouns(i)) for i in training]
    sizes = np.array([found.count(name) for name in task.classes])
    assert CONFIG.model_weight > 1
    sizes = sizes * np.array([1] * 8 + [CONFIG.model_weight] * 3)  # the last three are of real models alone
    expected = 4000 * np.sqrt(sizes) / np.sqrt(sizes).sum()
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected.max())
    assert counts[0] / counts[8] == pytest.approx(np.sqrt(sizes[0] / sizes[8]), rel=0.2)


def test_degraded_clouds_keep_z_up_and_their_shapes() -> None:
    """Without stretch and noise, heights stay and distances from the axis too; not all are turned alike."""
    turned = replace(EXAMPLES, stretch=1.0, jitter=0.0)
    cloud = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    rng = np.random.default_rng(1)
    clouds = [degraded(cloud, turned, rng) for _ in range(200)]
    for one in clouds:
        np.testing.assert_allclose(one[:, 2], cloud[:, 2], atol=1e-6)
        np.testing.assert_allclose(np.hypot(*one[:, :2].T), np.hypot(*cloud[:, :2].T), atol=1e-5)
    flat = np.stack([one[:, :2].ravel() for one in clouds])
    own = np.stack([cloud[:, :2] * [side, 1] for side in (1, -1)]).reshape(2, -1)
    near = (flat @ own.T).max(axis=1) / (own[0] @ own[0]) > np.cos(np.radians(30))
    assert 0.6 < near.mean() < 0.9  # 70 % turned a little, and some of the others by chance


class Noting(ClassifierTask):
    """Notes the losses of training, and asks for the run's end in the step `until`."""

    until = 0

    def __init__(self, data: Pool, config: ClassifierTaskConfig) -> None:
        super().__init__(PoolDataset(data), config)
        self.seen: list[float] = []

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        found = super().losses(network, batch)
        if torch.is_grad_enabled():
            self.seen.append(float(found.value.detach().mean()))
            if len(self.seen) == self.until:
                os.kill(os.getpid(), signal.SIGTERM)
        return found


@pytest.mark.slow
def test_resumed_is_never_stopped(tiny: ModuleType, both: Pool, tmp_path: Path) -> None:
    """Dropout included."""
    straight, stopped, task = tmp_path / "straight", tmp_path / "stopped", Noting(both, CONFIG)
    tiny.train(both, straight, SETTINGS, task=ClassifierTask(PoolDataset(both), CONFIG), steps=6)
    task.until = 3
    tiny.train(both, stopped, SETTINGS, task=task, steps=6)
    before = torch.load(stopped / "checkpoint.pt", weights_only=True)
    assert before["run_state"]["step"] == 3
    tiny.train(both, stopped, SETTINGS, task=ClassifierTask(PoolDataset(both), CONFIG), steps=6, resume=True)
    one, two = (torch.load(run / "checkpoint.pt", weights_only=True)["network"] for run in (straight, stopped))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], before["network"][key]) for key in one)


@pytest.mark.slow
def test_it_learns(tiny: ModuleType, both: Pool, tmp_path: Path) -> None:
    """A car from a bicycle: two objects, degraded anew each time. The file says what it holds."""
    places = np.tile([0, 6], 20)
    two = replace(
        both, points=both.points[places], slot=both.slot[places], queries=both.queries[places], sdf=both.sdf[places],
        family=[both.family[i] for i in places], words=[both.words[i] for i in places],
    )  # fmt: skip
    task = Noting(
        two, ClassifierTaskConfig(replace(NETWORK, width=0.25, samples=(24, 8), radii=(0.3, 0.8), neighbours=(8, 8)))
    )
    best = tiny.train(
        two, tmp_path / "run", replace(SETTINGS, phases=(Phase(1.0, 16, ClassifierExamples(128)),)), task=task, steps=30
    )
    assert np.mean(task.seen[-5:]) < 0.4 * np.mean(task.seen[:3])
    weights = read_weights(best)
    assert weights.info["kind"] == "pointnet2"
    assert weights.info["classes"] == ["car", "bicycle"]
    network = from_dict(PointNet2Config, weights.info["config"]).build()
    load_into(network, weights, best)
    with torch.no_grad():
        found = task.losses(network, drawn(task, EXAMPLES, n=8))
        assert task.image(network).shape == (12, 12, 3)
    assert torch.allclose(found.metrics["probability"], (-found.value).exp())


class Guessing(PointNet2):
    """Always the same order of likelihood: 0, 1, 2 ..."""

    def forward(self, points: Tensor, start: Tensor | None = None, groups: object = None) -> PointNet2Output:
        log_probs = -torch.arange(float(self.classes)).expand(len(points), -1)
        return PointNet2Output(log_probs, log_probs, log_probs)


def test_quality_of_a_network_that_always_answers_the_same(both: Pool) -> None:
    task, dataset = ClassifierTask(PoolDataset(both), CONFIG), PoolDataset(both)
    # The classes 0, 1, 1, 6, and of the models 8 and 9.
    objects = [(dataset[i], i >= 40) for i in (0, 1, 1, 6, 40, 41)]
    found = quality(objects, task.classes, Guessing(classes=len(task.classes), width=0.1), sizes=(16,))
    assert found["objects"] == 6
    assert found["real models"] == 2
    at = found["16 points"]
    assert at["right"] == pytest.approx(1 / 6, abs=1e-4)
    assert at["right, mean over categories"] == pytest.approx(1 / 5, abs=1e-4)  # all of one, none of the four others
    assert at["right among five"] == pytest.approx(3 / 6, abs=1e-4)
    assert at["right, real models"] == 0
    assert at["mistakes"][0] == (task.classes[1], task.classes[0], 2)
    assert sum(times for _, _, times in at["mistakes"]) == 5


def test_held_out_objects_and_which_are_real(both: Pool) -> None:
    found = list(held_out_objects(ClassifierTask(PoolDataset(both), CONFIG).data))
    held_out = PoolDataset(both).split(held_out=True)
    expected = [
        (held_out.nouns(i), both.model(i) is not None)
        for i in held_out.objects.tolist()
        if category(held_out.nouns(i)) is not None
    ]
    assert [(example.nouns, real) for example, real in found] == expected
