"""The joint model's task: features made ahead, what counts as another thing, and that it learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enpointe.checkpoints.embedded import read_network
from enpointe.core.errors import InputError
from enpointe.core.progress import Progress
from enpointe.data.captions import draw_paint
from enpointe.data.pools import pool as pools
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.efficientnet import CHANNELS, STATISTICS
from enpointe.nn.joint import JointConfig, JointHeads
from enpointe.training import image_text
from enpointe.training.image_text import (
    CAPTIONS,
    VIEWS,
    ImageText,
    degraded,
    fresh_mesh,
    make_image_text,
    names_color,
    read_image_text,
)
from enpointe.training.loop import train_task
from enpointe.training.recipe import Recipe, train
from enpointe.training.settings import Phase, Settings
from enpointe.training.tasks import RECIPES
from enpointe.training.tasks.pocket_joint import (
    PROMPTS_HELD_OUT,
    JointExamples,
    JointTask,
    JointTaskConfig,
    related,
)
from training.drawing import drawn

NETWORK = JointConfig(texts=6, pictures=10, hidden=16, width=8, dropout=0.0)
CONFIG = JointTaskConfig(NETWORK, objects=200)
EXAMPLES = JointExamples()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    path = tmp_path_factory.mktemp("objects") / "objects.pool"
    pools.build(path, n_clouds=40, n_points=300, n_queries=16, workers=1)
    pool = pools.read(path)
    model = RealModel("a/b", ("toy car", "car"), np.full((1, 3), 0.5, np.float32), "CC0-1.0", "", "")
    family = [*pool.family[:-1], "model/0"]
    return replace(pool, family=family, models=(model,), slot=np.where(np.arange(40)[:, None] < 39, pool.slot, 0))


@pytest.fixture(scope="module")
def features(objects: Pool) -> ImageText:
    """Features that tell which object it is, in two different ways, with a little noise."""
    rng = np.random.default_rng(0)
    index = np.tile(np.arange(40), 5)
    key = rng.normal(size=(40, 5))
    images = (key @ rng.normal(size=(5, 10)))[index][:, None] + rng.normal(0, 0.05, (200, VIEWS, 10))
    texts = (key @ rng.normal(size=(5, 6)))[index][:, None] + rng.normal(0, 0.05, (200, CAPTIONS, 6))
    names = [objects.family[i] for i in index]
    captions = [[f"a red {name}", f"a {name}", "a red car", f"{name}, crimson"] for name in names]
    color = ["" if name.startswith("model/") else "red" for name in names]
    return ImageText(images.astype(np.float16), texts.astype(np.float16), index, captions, color, ["cloud"] * 200)


SETTINGS = Settings(
    (Phase(1.0, 32, EXAMPLES),), learning_rate=1e-2, warmup=5, ema=(0.9,), compile=False, validate_every=1e9
)


@pytest.mark.slow
def test_it_learns(objects: Pool, features: ImageText, tmp_path: Path) -> None:
    task = JointTask(objects, features, CONFIG)
    held_out = drawn(task, EXAMPLES, 5, 64, training=False)

    def own_is_nearest() -> float:
        with torch.no_grad():
            return 1 - float(task.losses(task.network.eval(), held_out).metrics["nearer texts"].mean())

    def loss() -> float:
        with torch.no_grad():
            return float(task.losses(task.network.eval(), held_out).value.mean())

    before = loss()
    train_task(task, SETTINGS, tmp_path / "run", device=torch.device("cpu"), steps=60, report=lambda _: None)
    assert loss() < 0.5 * before
    assert own_is_nearest() > 0.95
    assert task.image(task.network).shape == (512, 512, 3)


def test_a_batch_is_a_function_of_its_generator_and_keeps_to_its_objects(objects: Pool, features: ImageText) -> None:
    task = JointTask(objects, features, CONFIG)
    again = JointTask(objects, features, CONFIG)
    for training in (True, False):
        one, other = (drawn(each, EXAMPLES, 3, 32, training=training) for each in (task, again))
        assert all(torch.equal(one[key], other[key]) for key in one)
        kept = np.isin(features.index, objects.split(0.1)[1]) != training
        there = torch.from_numpy(features.images[kept].reshape(-1, 10)).float()
        nearest = torch.cdist(one["images"], there, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
        bound = 3 * EXAMPLES.noise * float(there.std(0).norm()) if training else 1e-4
        assert nearest.max() < bound
        assert (nearest > 1e-2).all() == training
    with torch.no_grad():
        network = task.network.eval()
        assert torch.equal(task.losses(network, one).value, task.losses(again.network.eval(), one).value)


def test_no_held_out_prompt_is_trained_on(objects: Pool, features: ImageText) -> None:
    task = JointTask(objects, features, CONFIG)
    assert "a red car" in PROMPTS_HELD_OUT
    batch = drawn(task, EXAMPLES, 1, 200)
    forbidden = torch.from_numpy(features.texts[:, 2]).float()
    assert not any((forbidden == row).all(1).any() for row in batch["texts"])


def test_texts_that_are_also_true_are_no_negative_examples(objects: Pool, features: ImageText) -> None:
    """All is red here: pairs that share a noun are left out, and no others."""
    task = JointTask(objects, features, CONFIG)
    batch = drawn(task, JointExamples(noise=0.0), 2, 64)
    also = batch["also"].numpy()
    assert not also.diagonal().any()
    images = torch.from_numpy(features.images.reshape(-1, 10)).float()
    rows = [int((images == row).all(1).nonzero()[0, 0]) // VIEWS for row in batch["images"]]
    families = [objects.family[features.index[row]] for row in rows]
    for i, one in enumerate(families):
        for j, other in enumerate(families):
            if one == other and i != j:
                assert also[i, j]
            elif {one, other} == {"dog", "castle"}:
                assert not also[i, j]
    with torch.no_grad():
        network = task.network.eval()
        loud = task.losses(network, {**batch, "also": torch.zeros_like(batch["also"])})
        assert (loud.value >= task.losses(network, batch).value).all()


def test_another_color_of_the_same_noun_is_a_negative_example(objects: Pool, features: ImageText) -> None:
    color = ["red" if i % 2 else "blue" for i in range(len(features.index))]
    captions = [[f"a {name} thing"] * CAPTIONS for name in color]
    index = np.where(features.index < 36, 0, features.index)
    one_family = replace(features, index=index, color=color, captions=captions)
    task = JointTask(objects, one_family, CONFIG)
    batch = drawn(task, EXAMPLES, 2, 64)
    part = batch["also"].float().mean()
    assert 0.4 < part < 0.6
    colorless = replace(one_family, captions=[["a thing"] * CAPTIONS for _ in color])
    batch = drawn(JointTask(objects, colorless, CONFIG), EXAMPLES, 2, 64)
    assert batch["also"].float().mean() > 0.9


def test_related_nouns() -> None:
    groups = [
        ("car", "automobile"),
        ("sports car",),
        ("bowl of stew", "bowl"),
        ("bowl",),
        ("carpet",),
        ("dog", "puppy"),
    ]
    assert related(groups).tolist() == [
        [True, True, False, False, False, False],
        [True, True, False, False, False, False],
        [False, False, True, True, False, False],
        [False, False, True, True, False, False],
        [False, False, False, False, True, False],
        [False, False, False, False, False, True],
    ]


def test_color_words_in_a_text() -> None:
    assert names_color("a red car", "red")
    assert names_color("a car, crimson", "red")
    assert not names_color("a redwood tree", "red")
    assert not names_color("a blue car", "red")
    assert names_color("a sky blue car", "light blue")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_text, "OBJECTS", 3)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_features_are_made_in_parts_and_continued(objects: Pool, tmp_path: Path) -> None:
    seen: list[Progress] = []
    make_image_text(objects, tmp_path, 3, progress=seen.append)
    first = (tmp_path / "part-00000.safetensors").read_bytes()
    make_image_text(objects, tmp_path, 5, progress=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(3, 3), (6, 6)]
    assert (tmp_path / "part-00000.safetensors").read_bytes() == first
    found = read_image_text(tmp_path)
    assert found.images.shape == (6, VIEWS, CHANNELS + STATISTICS)
    assert found.texts.shape == (6, CAPTIONS, 384)
    assert np.isfinite(found.images).all()
    assert np.allclose(np.linalg.norm(found.texts.astype(float), axis=-1), 1, atol=1e-2)
    assert len(found.captions) == len(found.color) == len(found.kind) == 6
    assert set(found.kind) <= {"cloud", "degraded cloud", "mesh"}
    make_image_text(objects, tmp_path / "again", 3)
    assert (tmp_path / "again" / "part-00000.safetensors").read_bytes() == first
    with pytest.raises(InputError, match="this pool and seed"):
        make_image_text(objects, tmp_path, 5, seed=1)
    (tmp_path / "part-00001.safetensors").write_bytes(first[:-100])
    with pytest.raises(InputError, match="part-00001"):
        read_image_text(tmp_path)


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The recipe of the joint model, with few objects and a small batch."""
    monkeypatch.setattr(image_text, "OBJECTS", 8)
    network = JointConfig(texts=384, pictures=CHANNELS + STATISTICS, hidden=16, width=8)
    RECIPES.register("small-joint")(Recipe(JointTaskConfig(network, objects=8), SETTINGS, minutes=1))
    yield "small-joint"
    RECIPES.unregister("small-joint")


@pytest.mark.slow
def test_a_recipe_from_a_pool_to_weights(small_recipe: str, tmp_path: Path) -> None:
    """Half of what is drawn from a pool of two objects is held out."""
    pools.build(tmp_path / "two.pool", n_clouds=2, n_points=300, n_queries=16, workers=1)
    seen: list[Progress] = []
    options: dict[str, Any] = {"run_dir": tmp_path / "run", "data": [tmp_path / "two.pool"], "device": "cpu"}
    options |= {"progress": seen.append, "report": lambda _: None}
    best = train(small_recipe, steps=1, **options)
    heads, weights = read_network(best, JointHeads)
    assert heads.pictures.middle.abs().sum() > 0
    assert weights.info["training"]["recipe"] == small_recipe
    assert [(progress.stage, progress.done) for progress in seen] == [("images and captions", 8), ("train", 1)]
    train(small_recipe, steps=2, resume=True, **options)
    assert [progress.stage for progress in seen[2:]] == ["train"]


def test_features_that_do_not_fit_are_refused(objects: Pool, features: ImageText, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        read_image_text(tmp_path)
    with pytest.raises(InputError, match="pool of 40 objects"):
        JointTask(objects, replace(features, index=features.index + 1), CONFIG)
    with pytest.raises(InputError, match=r"expected sizes \(7, 10\)"):
        JointTask(objects, features, replace(CONFIG, network=replace(NETWORK, texts=7)))
    with pytest.raises(InputError, match="held out"):
        JointTask(objects, replace(features, index=np.zeros_like(features.index)), CONFIG)


def test_a_fresh_mesh_has_its_paint() -> None:
    family = FAMILIES["mug"]
    rng = np.random.default_rng(0)
    paint = {**draw_paint(family, rng), family.slots[0].name: "blue"}
    mesh, appearance = fresh_mesh(family, rng, paint)
    assert mesh.colors is not None
    assert appearance.color == "blue"
    assert any(names_color(appearance.caption(rng), "blue") for _ in range(20))
    main = np.abs(mesh.colors - appearance.rgb[0]).max(1) < 1e-6
    assert main.mean() > 0.3
    assert appearance.rgb[0, 2] > 0.6
    assert {tuple(color) for color in mesh.colors.tolist()} <= {tuple(color) for color in appearance.rgb.tolist()}


def test_a_degraded_cloud_is_the_same_thing_a_little_off() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(2000, 3))
    cloud = PointCloud(
        (ball / np.linalg.norm(ball, axis=1, keepdims=True) / 2).astype(np.float32), np.full((2000, 3), 0.5, np.float32)
    )
    for _ in range(10):
        other = degraded(cloud, rng)
        assert 700 < len(other.points) <= 2000
        off = np.abs(np.linalg.norm(other.points, axis=1) - 0.5)
        assert 0 < np.median(off) < 0.03
        assert np.abs(other.colors.mean(0) - 0.5).max() < 0.12
        assert other.colors.std() > 0
