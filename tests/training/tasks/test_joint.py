"""The joint model's task: looks made ahead, what counts as another thing, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from enpointe.checkpoints.embedded import read_network
from enpointe.core.errors import InputError
from enpointe.data.captions import draw_paint
from enpointe.data.pools import pool as pools
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.geometry.point_cloud import PointCloud
from enpointe.nn.efficientnet import CHANNELS, STATISTICS
from enpointe.nn.joint import JointConfig, JointHeads
from enpointe.training import recipes
from enpointe.training.loop import train_task
from enpointe.training.settings import Phase, Settings
from enpointe.training.tasks import joint
from enpointe.training.tasks import joint_images as making
from enpointe.training.tasks.joint import NOISE, PROMPTS_HELD_OUT, JointTask, related
from enpointe.training.tasks.joint_images import CAPTIONS, VIEWS, Looks, fresh_mesh, make_looks, read_looks, says, worn

CONFIG = JointConfig(texts=6, pictures=10, hidden=16, width=8, dropout=0.0)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    path = tmp_path_factory.mktemp("objects") / "objects.pool"
    pools.build(path, n_clouds=40, n_points=300, n_queries=16, workers=1)
    pool = pools.read(path)
    model = RealModel("a/b", ("toy car", "car"), np.full((1, 3), 0.5, np.float32), "CC0-1.0", "", "")
    family = [*pool.family[:-1], "model/0"]
    return replace(pool, family=family, models=(model,), slot=np.where(np.arange(40)[:, None] < 39, pool.slot, 0))


@pytest.fixture(scope="module")
def looks(objects: Pool) -> Looks:
    """Features that say which object it is, in two different ways, with a little noise."""
    rng = np.random.default_rng(0)
    index = np.tile(np.arange(40), 5)
    key = rng.normal(size=(40, 5))
    pictures = (key @ rng.normal(size=(5, 10)))[index][:, None] + rng.normal(0, 0.05, (200, VIEWS, 10))
    texts = (key @ rng.normal(size=(5, 6)))[index][:, None] + rng.normal(0, 0.05, (200, CAPTIONS, 6))
    names = [objects.family[i] for i in index]
    captions = [[f"a red {name}", f"a {name}", "a red car", f"{name}, crimson"] for name in names]
    colour = ["" if name.startswith("model/") else "red" for name in names]
    return Looks(pictures.astype(np.float16), texts.astype(np.float16), index, captions, colour, ["cloud"] * 200)


def train(task: JointTask, run: Path, steps: int) -> None:
    settings = Settings((Phase(1.0, 1, 32),), learning_rate=1e-2, warmup=5, ema=0.9, validate_every=1e9)
    options = {"compile_network": False, "report": lambda message: None}
    train_task(task, settings, run, device=torch.device("cpu"), steps=steps, **options)


@pytest.mark.slow
def test_it_learns(objects: Pool, looks: Looks, tmp_path: Path) -> None:
    task = JointTask(objects, looks, CONFIG)
    held_out = task.batch(np.random.default_rng(5), 64, 1, training=False)

    def own_is_nearest() -> float:
        with torch.no_grad():
            return 1 - float(task.losses(task.network.eval(), held_out).level.mean())

    def loss() -> float:
        with torch.no_grad():
            return float(task.losses(task.network.eval(), held_out).value.mean())

    before = loss()
    train(task, tmp_path / "run", 60)
    assert loss() < 0.5 * before
    assert own_is_nearest() > 0.95
    assert task.picture(task.network).shape == (512, 512, 3)


def test_a_batch_is_a_function_of_its_generator_and_keeps_to_its_objects(objects: Pool, looks: Looks) -> None:
    task = JointTask(objects, looks, CONFIG)
    again = JointTask(objects, looks, CONFIG)
    for training in (True, False):
        one = task.batch(np.random.default_rng(3), 32, 1, training=training)
        other = again.batch(np.random.default_rng(3), 32, 1, training=training)
        assert all(torch.equal(one[key], other[key]) for key in one)
        kept = np.isin(looks.index, objects.split(0.1)[1]) != training
        there = torch.from_numpy(looks.pictures[kept].reshape(-1, 10)).float()
        nearest = torch.cdist(one["pictures"], there, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
        bound = 3 * NOISE * float(there.std(0).norm()) if training else 1e-4
        assert nearest.max() < bound
        assert (nearest > 1e-2).all() == training
    with torch.no_grad():
        network = task.network.eval()
        assert torch.equal(task.losses(network, one).value, task.losses(again.network.eval(), one).value)


def test_no_held_out_prompt_is_trained_on(objects: Pool, looks: Looks) -> None:
    task = JointTask(objects, looks, CONFIG)
    assert "a red car" in PROMPTS_HELD_OUT
    batch = task.batch(np.random.default_rng(1), 200, 1, training=True)
    forbidden = torch.from_numpy(looks.texts[:, 2]).float()
    assert not any((forbidden == row).all(1).any() for row in batch["texts"])


def test_texts_that_are_also_true_are_no_counterexamples(
    objects: Pool, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is red here: whoever shares a noun is left out, and nobody else."""
    monkeypatch.setattr(joint, "NOISE", 0.0)  # so that it can be told which pictures they are
    task = JointTask(objects, looks, CONFIG)
    batch = task.batch(np.random.default_rng(2), 64, 1, training=True)
    also = batch["also"].numpy()
    assert not also.diagonal().any()
    pictures = torch.from_numpy(looks.pictures.reshape(-1, 10)).float()
    rows = [int((pictures == row).all(1).nonzero()[0, 0]) // VIEWS for row in batch["pictures"]]
    families = [objects.family[looks.index[row]] for row in rows]
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


def test_another_colour_of_the_same_noun_is_a_counterexample(objects: Pool, looks: Looks) -> None:
    colour = ["red" if i % 2 else "blue" for i in range(len(looks.index))]
    captions = [[f"a {name} thing"] * CAPTIONS for name in colour]
    one_family = replace(looks, index=np.where(looks.index < 36, 0, looks.index), colour=colour, captions=captions)
    task = JointTask(objects, one_family, CONFIG)
    batch = task.batch(np.random.default_rng(2), 64, 1, training=True)
    part = batch["also"].float().mean()
    assert 0.4 < part < 0.6
    unsaid = replace(one_family, captions=[["a thing"] * CAPTIONS for _ in colour])
    batch = JointTask(objects, unsaid, CONFIG).batch(np.random.default_rng(2), 64, 1, training=True)
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


def test_colour_words_in_a_text() -> None:
    assert says("a red car", "red")
    assert says("a car, crimson", "red")
    assert not says("a redwood tree", "red")
    assert not says("a blue car", "red")
    assert says("a sky blue car", "light blue")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "OBJECTS", 3)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_looks_are_made_in_parts_and_gone_on_with(objects: Pool, tmp_path: Path) -> None:
    told: list[str] = []
    make_looks(objects, tmp_path, 3, report=told.append)
    first = (tmp_path / "part-00000.safetensors").read_bytes()
    make_looks(objects, tmp_path, 5, report=told.append)
    assert [line.split(",")[0] for line in told] == ["looks: part 1 of 1", "looks: part 2 of 2"]
    assert (tmp_path / "part-00000.safetensors").read_bytes() == first
    found = read_looks(tmp_path)
    assert found.pictures.shape == (6, VIEWS, CHANNELS + STATISTICS)
    assert found.texts.shape == (6, CAPTIONS, 384)
    assert np.isfinite(found.pictures).all()
    assert np.allclose(np.linalg.norm(found.texts.astype(float), axis=-1), 1, atol=1e-2)
    assert len(found.captions) == len(found.colour) == len(found.kind) == 6
    assert set(found.kind) <= {"cloud", "worn cloud", "mesh"}
    make_looks(objects, tmp_path / "again", 3, report=told.append)
    assert (tmp_path / "again" / "part-00000.safetensors").read_bytes() == first
    with pytest.raises(InputError, match="this pool and seed"):
        make_looks(objects, tmp_path, 5, seed=1, report=told.append)
    (tmp_path / "part-00001.safetensors").write_bytes(first[:-100])
    with pytest.raises(InputError, match="part-00001"):
        read_looks(tmp_path)


@pytest.mark.slow
def test_the_recipe_from_a_pool_to_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what is drawn from a pool of two objects is held out."""
    pools.build(tmp_path / "two.pool", n_clouds=2, n_points=300, n_queries=16, workers=1)
    monkeypatch.setattr(making, "OBJECTS", 8)
    monkeypatch.setattr(recipes, "LOOKS", 8)
    whole = recipes.train_task
    monkeypatch.setattr(recipes, "train_task", lambda *a, **o: whole(*a, **o, compile_network=False))
    told: list[str] = []
    options = {"run_dir": tmp_path / "run", "data": tmp_path / "two.pool", "device": "cpu", "report": told.append}
    best = recipes.train("pocket-joint", steps=1, **options)
    heads, weights = read_network(best, JointHeads)
    assert heads.pictures.middle.abs().sum() > 0
    assert weights.info["training"]["recipe"] == "pocket-joint"
    assert told[0].startswith("looks: part 1 of 1")
    recipes.train("pocket-joint", steps=2, resume=True, **options)
    assert sum(line.startswith("looks:") for line in told) == 1


def test_looks_that_do_not_fit_are_refused(objects: Pool, looks: Looks, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        read_looks(tmp_path)
    with pytest.raises(InputError, match="pool of 40 objects"):
        JointTask(objects, replace(looks, index=looks.index + 1), CONFIG)
    with pytest.raises(InputError, match=r"expected features of \(7, 10\)"):
        JointTask(objects, looks, replace(CONFIG, texts=7))
    with pytest.raises(InputError, match="held out"):
        JointTask(objects, replace(looks, index=np.zeros_like(looks.index)), CONFIG)


def test_a_fresh_mesh_wears_its_paint() -> None:
    family = FAMILIES["mug"]
    rng = np.random.default_rng(0)
    paint = {**draw_paint(family, rng), family.slots[0].name: "blue"}
    mesh, appearance = fresh_mesh(family, rng, paint)
    assert mesh.colors is not None
    assert appearance.color == "blue"
    assert any(says(appearance.caption(rng), "blue") for _ in range(20))
    main = np.abs(mesh.colors - appearance.rgb[0]).max(1) < 1e-6
    assert main.mean() > 0.3
    assert appearance.rgb[0, 2] > 0.6
    assert {tuple(color) for color in mesh.colors.tolist()} <= {tuple(color) for color in appearance.rgb.tolist()}


def test_a_worn_cloud_is_the_same_thing_a_little_off() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(2000, 3))
    cloud = PointCloud(
        (ball / np.linalg.norm(ball, axis=1, keepdims=True) / 2).astype(np.float32), np.full((2000, 3), 0.5, np.float32)
    )
    for _ in range(10):
        other = worn(cloud, rng)
        assert 700 < len(other.points) <= 2000
        off = np.abs(np.linalg.norm(other.points, axis=1) - 0.5)
        assert 0 < np.median(off) < 0.03
        assert np.abs(other.colors.mean(0) - 0.5).max() < 0.12
        assert other.colors.std() > 0
