"""The base model's task: its batches, its texts, its objective."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.checkpoints.embedded import text_encoder
from enpointe.core.errors import InputError
from enpointe.data.datasets import PoolDataset
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.training.task import Batch
from enpointe.training.tasks.pocket_base import (
    PROMPTS,
    BaseExamples,
    BaseTask,
    BaseTaskConfig,
    to_model,
)
from training.drawing import collated, drawn


def batch(task: BaseTask, seed: int, n: int = 6, *, training: bool = True, drop: float = 0.1) -> Batch:
    return drawn(task, BaseExamples(32, drop=drop), seed, n, training=training)


def captions(task: BaseTask, seed: int, n: int = 6, *, training: bool = True) -> list[str]:
    return list(collated(task, BaseExamples(32), seed, n, training=training).captions)


def test_a_batch_is_a_function_of_the_generators(tiny: ModuleType, data: Pool) -> None:
    one, two = (batch(tiny.TinyTask(data), 3) for _ in range(2))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not any(torch.equal(batch(tiny.TinyTask(data), 4)[key], one[key]) for key in one)


def test_a_batch(tiny: ModuleType, data: Pool) -> None:
    made = batch(tiny.TinyTask(data), 0, 64)
    assert made["x0"].shape == made["noise"].shape == (64, 6, 32)
    assert made["x0"].dtype == torch.float32
    assert made["x0"].abs().max() <= 1 + 1e-3
    assert made["noise"].std() == pytest.approx(1, abs=0.05)
    assert (made["sigma"] > 0).all()
    dropped = (made["text"] == 0).all(2).all(1)
    assert 0 < dropped.sum() < 20  # one in ten
    assert all(text.isascii() for text in captions(tiny.TinyTask(data), 0, 64))


def test_held_out_objects_are_not_trained_on(tiny: ModuleType, data: Pool) -> None:
    """The pool's eight objects: the last is held out."""
    task = tiny.TinyTask(data)
    points = {tuple(np.round(p * 1e4).astype(int)) for p in data.draw(7, 128, np.random.default_rng(0)).points}

    def held_out(b: Batch) -> list[bool]:
        return [tuple(np.round(x[:3, 0].numpy() / 2 * 1e4).astype(int)) in points for x in b["x0"]]

    assert all(held_out(batch(task, 0, 12, training=False)))
    assert not any(held_out(batch(task, 0, 24)))


def test_real_models_are_trained_on_and_held_out(tiny: ModuleType, data: Pool) -> None:
    """Models of which one is held out by its key, beside procedural objects that are not named so."""
    keys = next((a, b) for a in "abcdefghijklm" for b in "nopqrstuvwxyz" if is_held_out(b) and not is_held_out(a))
    models = tuple(RealModel(key, (f"gizmo {key}",), np.ones((256, 3), np.float32), "", "", "") for key in keys)
    family = ["model/0", "model/1", *data.family[2:]]
    task = tiny.TinyTask(replace(data, family=family, models=models))
    for training, key, other in ((True, *keys), (False, *keys[::-1])):
        texts = captions(task, 0, 60, training=training)
        assert any(f"gizmo {key}" in text for text in texts)
        assert not any(f"gizmo {other}" in text for text in texts)
        assert any("gizmo" not in text and text for text in texts)


def is_held_out(key: str) -> bool:
    return RealModel(key, ("gizmo",), np.ones((1, 3), np.float32), "", "", "").held_out


def test_texts_become_tokens_and_dropped_ones_zeros(tiny: ModuleType, data: Pool) -> None:
    task = tiny.TinyTask(data, text_tokens=12)
    tokens, whole = batch(task, 1, drop=0.5)["text"], batch(task, 1, drop=0.0)["text"]
    assert tokens.shape == (6, 384, 12)
    assert tokens.dtype == torch.float32
    kept = tokens.any(2).any(1)
    assert 0 < kept.sum() < 6
    assert torch.equal(tokens[kept], whole[kept])
    expected = text_encoder(torch.device("cpu")).condition(captions(task, 1), 12)
    assert (whole - expected).norm() / expected.norm() < 1e-3  # they are kept in float16
    assert not tokens.is_inference()


def test_only_the_families_of_the_config_are_learned(tiny: ModuleType, data: Pool) -> None:
    config = BaseTaskConfig(tiny.CONFIG, families=(*data.family[1:3], *data.family[7:]))  # the last is the held-out one
    task = BaseTask(PoolDataset(data), config)
    assert {one.nouns[0] for one in islice(task.data.split(False).stream(), 12)} == set(data.family[1:3])
    assert {noun for thing in task.network_info["vocabulary"] for noun in thing["names"]} == set(
        task.network_info["nouns"]
    )
    with pytest.raises(InputError, match="expected objects of"):
        BaseTask(PoolDataset(data), BaseTaskConfig(tiny.CONFIG, families=tuple(data.family[1:3])))


def test_losses_of_a_silent_network_are_the_velocities(tiny: ModuleType, data: Pool) -> None:
    """A fresh network answers 0, so that its loss is the mean square of cos(a) eps - sin(a) x0."""
    task = tiny.TinyTask(data)
    made = batch(task, 2)
    found = task.losses(task.network, made)
    angle = torch.atan(made["sigma"])[:, None, None]
    velocity: Tensor = angle.cos() * made["noise"] - angle.sin() * made["x0"]
    assert torch.allclose(found.value, velocity.square().mean((1, 2)), rtol=1e-4)
    assert found.noise_level is not None
    assert torch.allclose(found.noise_level, angle[:, 0, 0] / (torch.pi / 2))
    assert (found.noise_level > 0).all()
    assert (found.noise_level < 1).all()


def test_same_seed_same_start(tiny: ModuleType, data: Pool) -> None:
    def weight(seed: int) -> Tensor:
        return next(tiny.TinyTask(data, seed=seed).network.parameters())

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))


def test_model_units() -> None:
    points = torch.tensor([[[0.5, -0.5, 0.0]]])
    colors = torch.tensor([[[0.0, 1.0, 0.5]]])
    assert to_model(points, colors)[0, :, 0].tolist() == pytest.approx([1, -1, 0, -1, 1, 0])


@pytest.mark.slow
def test_image(tiny: ModuleType, data: Pool) -> None:
    task = BaseTask(PoolDataset(data), BaseTaskConfig(tiny.CONFIG))
    network = task.network.eval()
    with torch.no_grad():
        image = task.image(network)
    assert image.dtype == np.uint8
    assert image.shape == (2 * 160, 8 * 160, 3)
    assert len(PROMPTS) == 16
    assert image.std() > 1
