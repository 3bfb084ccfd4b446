"""The layout network's task: its batches, its conditions, its objective."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enpointe.checkpoints.embedded import text_encoder
from enpointe.checkpoints.weights import load_into, save_weights
from enpointe.core.errors import WeightsError
from enpointe.data.datasets import PoolDataset
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.nn.kd_order import kd_order
from enpointe.nn.layout import LayoutConfig
from enpointe.training.task import Batch
from enpointe.training.tasks.pocket_layout import LayoutExamples, LayoutTask, LayoutTaskConfig, LogitNormalTimes
from enpointe.training.text_to_cloud import PROMPTS, to_model
from training.drawing import collated, drawn

ALL = LayoutConfig(width=32, layers=2, heads=2, tokens=8, n_points=32, image=1280, known=16)


def batch(task: LayoutTask, seed: int, n: int = 6, *, training: bool = True, **options: Any) -> Batch:
    return drawn(task, LayoutExamples(32, **{"draws": 1, **options}), seed, n, training=training)


def captions(task: LayoutTask, seed: int, n: int = 6, *, training: bool = True) -> list[str]:
    return list(collated(task, LayoutExamples(32), seed, n, training=training).captions)


def all_conditions(data: Pool) -> LayoutTask:
    return LayoutTask(PoolDataset(data), LayoutTaskConfig(ALL))


def test_a_batch_is_a_function_of_the_generators(tiny: ModuleType, data: Pool) -> None:
    one, two = (batch(all_conditions(data), 3, several=1.0) for _ in range(2))
    assert one.keys() == two.keys() == {"x0", "noise", "t", "text", "image", "known"}
    assert all(torch.equal(one[key], two[key]) for key in one)
    other = batch(all_conditions(data), 4, several=1.0)
    assert not any(torch.equal(other[key], one[key]) for key in one)


def test_a_batch(tiny: ModuleType, data: Pool) -> None:
    made = batch(tiny.TinyTask(data), 0, 64, draws=2)
    assert made["x0"].shape == made["noise"].shape == (128, 6, 32)
    assert torch.equal(made["x0"][:64], made["x0"][64:])
    assert torch.equal(made["text"][:64], made["text"][64:])
    assert not torch.equal(made["noise"][:64], made["noise"][64:])
    assert made["x0"].dtype == torch.float32
    size = made["x0"][:, :3].amax(2) - made["x0"][:, :3].amin(2)
    assert size.amax(1) == pytest.approx(2, abs=1e-4)
    assert made["noise"].std() == pytest.approx(1, abs=0.05)
    assert ((made["t"] > 0) & (made["t"] < 1)).all()
    dropped = (made["text"][:64] == 0).all(2).all(1)
    assert 0 < dropped.sum() < 20  # one in ten
    assert all(text.isascii() for text in captions(tiny.TinyTask(data), 0, 64))


def test_clouds_are_in_kd_order(tiny: ModuleType, data: Pool) -> None:
    x0 = batch(tiny.TinyTask(data), 0)["x0"]
    again = x0.gather(2, kd_order(x0[:, :3])[:, None].expand_as(x0))
    assert torch.equal(again, x0)


def test_varied_clouds_are_mirrored_and_stretched_in_training_only(tiny: ModuleType) -> None:
    points = torch.randn(400, 30, 3, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    settings = LayoutExamples(30, stretch=0.1)
    assert torch.equal(LayoutTask.varied(points, settings, generator, training=False), points)
    factors = (LayoutTask.varied(points, settings, generator, training=True) / points).mean(1)
    assert 0.4 < (factors[:, 0] < 0).float().mean() < 0.6
    assert (factors[:, 1:] > 0).all()
    ratio = (factors[:, 1] / factors[:, 2]).log()
    assert ratio.std() == pytest.approx(0.1 * 2**0.5, rel=0.15)


def test_held_out_objects_are_not_trained_on(tiny: ModuleType, data: Pool) -> None:
    """The pool's eight objects: the last is held out."""
    task = tiny.TinyTask(data)
    points = {tuple(np.round(p * 1e4).astype(int)) for p in data.draw(7, 128, np.random.default_rng(0)).points}

    def held_out(examples: list[Any]) -> list[bool]:
        return [tuple(np.round(one.points[0] * 1e4).astype(int)) in points for one in examples]

    assert all(held_out(list(islice(task.data.split(True).stream(), 12))))
    assert not any(held_out(list(islice(task.data.split(False).stream(), 24))))


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


def test_views_and_known_points_are_given_as_often_as_they_should_be(data: Pool) -> None:
    task = all_conditions(data)
    made = batch(task, 0, 40, image=0.5, known=0.25, several=0.0)
    assert made["image"].shape == (40, 1280, 49)
    assert made["known"].shape == (40, 6, 16)
    for name, share in (("image", 0.5), ("known", 0.25)):
        given = made[name].abs().flatten(1).amax(1) > 0
        assert abs(float(given.float().mean()) - share) < 0.2
    none = batch(task, 0, image=0.0, known=0.0)
    assert not none["image"].any()
    assert not none["known"].any()
    assert batch(task, 1, image=1.0, several=1.0)["image"].shape[2] in (98, 147, 196)


def test_known_points_are_a_part_of_the_cloud_in_a_frame_of_their_own(data: Pool) -> None:
    made = batch(all_conditions(data), 0, known=1.0, camera_noise=0.0)
    known, x0 = made["known"], made["x0"]
    size = known[:, :3].amax(2) - known[:, :3].amin(2)
    assert size.amax(1) == pytest.approx(2, abs=1e-4)
    assert torch.equal(known, known.gather(2, kd_order(known[:, :3])[:, None].expand_as(known)))
    # Colors tell which point of the cloud each is.
    apart = (known[:, 3:, :, None] - x0[:, 3:, None]).abs().amax(1)
    assert apart.amin(2).max() < 1e-6


def test_losses_of_a_silent_network_are_the_velocities(tiny: ModuleType, data: Pool) -> None:
    """A fresh network answers 0, so that its loss is the mean square of noise - x0."""
    task = tiny.TinyTask(data)
    made = batch(task, 2)
    found = task.losses(task.network, made)
    velocity: Tensor = made["noise"] - made["x0"]
    assert torch.allclose(found.value, velocity.square().mean((1, 2)), rtol=1e-4)
    assert found.noise_level is not None
    assert torch.equal(found.noise_level, made["t"])


def test_times_are_logit_normal() -> None:
    logits = torch.logit(LogitNormalTimes(0.5, 1.5)(1000, torch.Generator().manual_seed(0)))
    assert logits.mean() == pytest.approx(0.5, abs=0.02)
    assert logits.std() == pytest.approx(1.5, abs=0.05)


def test_what_the_weights_say_of_themselves(data: Pool) -> None:
    info = all_conditions(data).network_info
    assert (info["kind"], info["prediction"], info["text_tokens"]) == ("layout", "flow", 24)
    assert info["config"] == vars(ALL)
    assert {noun for thing in info["vocabulary"] for noun in thing["names"]} == set(info["nouns"])


def test_weights_of_texts_alone_are_a_start(tmp_path: Path) -> None:
    texts = replace(ALL, image=0, known=0)
    torch.manual_seed(0)
    network = texts.build()
    torch.nn.init.normal_(network.output.weight)
    save_weights(tmp_path / "texts.safetensors", network.state_dict(), texts.described(), "float32")
    weights = LayoutTaskConfig(ALL).read_init(str(tmp_path / "texts.safetensors"))
    both = ALL.build()
    load_into(both, weights, "texts")
    x, t, text = torch.randn(2, 6, 32), torch.tensor([0.2, 0.7]), torch.randn(2, 384, 5)
    more = {"image": torch.randn(2, 1280, 49), "known": torch.randn(2, 6, 16)}
    with torch.no_grad():
        expected = network(x, t, grids={"text": text})
        torch.testing.assert_close(both(x, t, grids={"text": text, **more}), expected)
    broken = {key: value for key, value in network.state_dict().items() if key != "place"}
    save_weights(tmp_path / "broken.safetensors", broken, texts.described(), "float32")
    with pytest.raises(WeightsError, match=r"missing keys \['place'\]"):
        load_into(both, LayoutTaskConfig(ALL).read_init(str(tmp_path / "broken.safetensors")), "broken")


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
def test_image(data: Pool) -> None:
    config = LayoutConfig(width=32, layers=2, heads=2)
    task = LayoutTask(PoolDataset(data), LayoutTaskConfig(config))
    with torch.no_grad():
        image = task.image(task.network.eval())
    assert image.dtype == np.uint8
    assert image.shape == (2 * 160, 8 * 160, 3)
    assert len(PROMPTS) == 16
    assert image.std() > 1
