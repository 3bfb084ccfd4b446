"""Real models in a pool: stored, painted, captioned, held out; what cannot be used is left out by name."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from trimesh.visual.material import PBRMaterial

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress
from enpointe.data.assets import Asset
from enpointe.data.held_out import held_out
from enpointe.data.pools import pool
from enpointe.data.pools.models import RealModel, is_plural, model_caption
from enpointe.data.procedural.colors import COLORS, PAINT, SYNONYMS
from enpointe.data.procedural.families import FAMILIES
from enpointe.data.sources.kaykit import KayKit

RED, GREEN = (204, 0, 0), (0, 153, 0)
"""As a glTF file gives a color: linear, of 255."""
OWN = np.array([[1.055 * 0.8 ** (1 / 2.4) - 0.055, 0, 0], [0, 1.055 * 0.6 ** (1 / 2.4) - 0.055, 0]])
"""The same as sRGB."""
SIZE: dict[str, Any] = {"n_clouds": 4, "n_points": 300, "n_queries": 8, "workers": 1}
CRATE = RealModel(
    "c",
    ("crate of carrots", "crate"),
    np.array([[0.8, 0, 0], [0, 0.6, 0]], np.float32),
    "CC0-1.0",
    "K",
    "S",
    (0.9, 0.1),
)
WORDS = {word for color in PAINT for word in (color, *SYNONYMS.get(color, ()))}


def write_model(path: Path, thickness: float = 1.0) -> None:
    """A red box with a small green one upon it, in glTF's y-up axes."""
    scene = trimesh.Scene()
    for name, color, side, y in (("box", RED, 1.0, 0.0), ("lid", GREEN, 0.4, (thickness + 0.2) / 2)):
        box = trimesh.creation.box((side, thickness if name == "box" else 0.2 * thickness, side))
        box.apply_translation((0, y if thickness == 1 else 0, 0))
        box.visual = trimesh.visual.TextureVisuals(material=PBRMaterial(baseColorFactor=[*color, 255]))
        scene.add_geometry(box, node_name=name)
    path.write_bytes(scene.export(file_type="glb"))


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> list[Asset]:
    pack = tmp_path_factory.mktemp("packs") / "pack"
    pack.mkdir()
    (pack / "LICENSE.txt").write_text("Created by Kay (kay.example)\nLicense: CC0")
    write_model(pack / "crate_carrots.glb")
    write_model(pack / "rug.glb", thickness=0.01)
    write_model(pack / "stairs.glb")
    (pack / "broken.glb").write_bytes(b"glTF and no more")
    return KayKit().open(pack.parent)


@pytest.fixture(scope="module")
def mixed_path(assets: list[Asset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "pool"
    pool.build(path, models=assets, **SIZE)
    return path


@pytest.fixture(scope="module")
def mixed(mixed_path: Path) -> pool.Pool:
    return pool.read(mixed_path)


def test_models_come_after_the_same_procedural_objects(mixed: pool.Pool, tmp_path: Path) -> None:
    pool.build(tmp_path / "alone", **SIZE)
    alone = pool.read(tmp_path / "alone")
    assert mixed.family == [*alone.family, "model/0", "model/1"]
    assert np.array_equal(mixed.points[:4], alone.points)
    assert np.array_equal(mixed.sdf[:4], alone.sdf)
    assert [model.key for model in mixed.models] == ["kaykit/pack/crate_carrots", "kaykit/pack/stairs"]


def test_what_cannot_be_read_and_what_is_flat_is_left_out_by_name(assets: list[Asset], tmp_path: Path) -> None:
    seen: list[Progress] = []
    left_out = pool.build(tmp_path / "p", models=assets, progress=seen.append, **SIZE)
    assert seen == [Progress("clouds", i, 8) for i in range(1, 9)]
    assert len(left_out) == 2
    broken, flat = left_out
    assert re.match(r"kaykit/pack/broken: expected (?!.*kaykit/)", broken)
    assert re.match(r"kaykit/pack/rug: expected a solid thing, found one whose thinnest side is 1\.\d%", flat)


def test_captions_that_came_with_a_model_are_its_words(assets: list[Asset], tmp_path: Path) -> None:
    """Without their articles and stops; a second model of the same key, and one without words, are left out."""
    crate = assets[1] if assets[1].key.endswith("crate_carrots") else assets[0]
    long = "Four crates stand upon each other in a corner of a barn that is red"
    told = replace(crate, key="a", captions=("A crate of carrots.", "the box", long))
    silent = replace(crate, key="b", nouns=())
    left_out = pool.build(tmp_path / "p", models=[told, told, silent], **SIZE)
    assert left_out == [
        "a: expected models with keys of their own, found it twice", "b: expected captions or nouns, found none",
    ]  # fmt: skip
    (model,) = pool.read(tmp_path / "p").models
    assert model.nouns == ("crate of carrots", "box", long)
    rng = np.random.default_rng(0)
    captions = {model.caption(None, rng) for _ in range(200)}
    assert captions == {"a crate of carrots", "crate of carrots", "a box", "box", long}
    assert not any("blue Four" in model.caption("blue", rng) for _ in range(200))


def test_any_number_of_workers_gives_the_same_bytes(assets: list[Asset], mixed_path: Path, tmp_path: Path) -> None:
    pool.build(tmp_path / "p", models=assets, **{**SIZE, "workers": 2})
    assert (tmp_path / "p").read_bytes() == mixed_path.read_bytes()


def test_a_model_keeps_its_colours_and_attribution(mixed: pool.Pool) -> None:
    model = mixed.model(4)
    assert model is not None
    assert mixed.model(3) is None
    assert (model.nouns, model.licence, model.creator, model.source) == (
        ("crate of carrots", "crate"), "CC0-1.0", "Kay", "KayKit pack",
    )  # fmt: skip
    assert np.allclose(model.colors, OWN, atol=0.01)
    # The green box is the upper one, and sees less of the points.
    height = mixed.points[4, :, 2]
    assert height[mixed.slot[4] == 1].min() > height[mixed.slot[4] == 0].max() - 10
    assert 0.02 < (mixed.slot[4] == 1).mean() < 0.4


def test_distances_of_models_are_not_known(mixed: pool.Pool) -> None:
    assert [mixed.has_distance(i) for i in range(6)] == [True] * 4 + [False] * 2
    assert np.isnan(mixed.sdf[4:]).all()
    with pytest.raises(InputError, match="object 5: expected signed distances"):
        mixed.distances(5)


@pytest.mark.slow
def test_draws_of_a_model_are_its_points_in_the_colours_of_its_caption(mixed: pool.Pool) -> None:
    painted = 0
    for seed in range(60):
        drawn = mixed.draw(4, 300, np.random.default_rng(seed))
        again = mixed.draw(4, 300, np.random.default_rng(seed))
        assert (drawn.caption, drawn.key) == (again.caption, "kaykit/pack/crate_carrots")
        assert np.array_equal(drawn.colors, again.colors)
        extent = np.ptp(drawn.points, axis=0)
        assert np.isclose(extent.max(), 1, atol=1e-3)
        own = (np.abs(drawn.colors[:, None] - OWN) < 0.01).all(2)
        assert own[:, 1].any()
        says_color = any(word in drawn.caption for word in WORDS)
        painted += says_color
        # What the caption says is blue is no longer its own red; else all wears its own.
        assert own.any(1).all() != says_color
    assert 12 < painted < 36


def test_a_paint_looks_like_its_word() -> None:
    rng, seen = np.random.default_rng(0), 0
    for _ in range(200):
        colors, text = _drawn(CRATE, rng)
        found = re.match(rf"(?:an? )?({'|'.join(sorted(PAINT, key=len, reverse=True))}) crate", text)
        assert np.array_equal(colors[1], CRATE.colors[1])
        if found:
            seen += 1
            assert np.abs(colors[0] - np.array(COLORS[found[1]])).max() < 0.3
    assert 45 < seen < 100
    assert np.array_equal(CRATE.colors[0], np.array([0.8, 0, 0], np.float32))


def test_nothing_is_painted_where_no_hue_prevails_or_the_noun_says_a_colour() -> None:
    rng = np.random.default_rng(0)
    motley = replace(CRATE, colors=np.eye(3, dtype=np.float32), shares=(0.4, 0.3, 0.3))
    for model in (motley, replace(CRATE, shares=()), replace(CRATE, nouns=("golden sword",))):
        for _ in range(50):
            colors, text = _drawn(model, rng)
            assert colors is model.colors
            assert text.removeprefix("a ") in model.nouns
    stool = replace(CRATE, nouns=("wooden stool", "stool"))
    texts = {_drawn(stool, rng)[1] for _ in range(200)}
    assert {"a wooden stool", "a stool"} < texts
    assert not any(re.search(r"\w+ wooden stool", text.removeprefix("a ")) for text in texts)


def test_all_swatches_of_the_commonest_hue_are_painted_darker_and_lighter_as_they_were() -> None:
    """A car in two blues with black wheels becomes one in two reds with black wheels."""
    colors = np.array([[0.2, 0.3, 0.9], [0.1, 0.15, 0.5], [0.05, 0.05, 0.05]], np.float32)
    car = RealModel("c", ("car",), colors, "", "", "", (0.5, 0.3, 0.2))
    rng, painted = np.random.default_rng(0), 0
    for _ in range(100):
        drawn, paint = car.draw_colors(rng)
        assert np.array_equal(drawn[2], colors[2])
        if paint is not None:
            painted += 1
            assert drawn[0].sum() > drawn[1].sum()
            assert not np.allclose(drawn[:2], colors[:2])
    assert 20 < painted < 60


def test_no_paint_of_a_pair_that_is_held_out() -> None:
    """A pink motorcycle is not shown, whoever made it and whatever kind it is."""
    rng = np.random.default_rng(0)
    for noun, family in (("sports motorcycle", "motorcycle"), ("motorbike", "motorcycle"), ("sedan car", "car")):
        assert noun.endswith(FAMILIES[family].names)
        forbidden = [color for color in PAINT if held_out(family, color)]
        assert forbidden
        words = "|".join(w for color in forbidden for w in (color, *SYNONYMS.get(color, ())))
        model = replace(CRATE, nouns=(noun,))
        texts = [_drawn(model, rng)[1] for _ in range(400)]
        assert len(set(texts)) > 10
        assert not any(re.match(rf"(an? )?({words}) ", text) for text in texts)


def test_captions_mostly_say_the_closest_noun() -> None:
    rng = np.random.default_rng(0)
    said = Counter(model_caption(("oven door", "door", "thing"), None, rng) for _ in range(1000))
    assert set(said) == {"an oven door", "oven door", "a door", "door", "a thing", "thing"}
    assert 550 < said["an oven door"] + said["oven door"] < 650
    assert 750 < said["an oven door"] + said["a door"] + said["a thing"] < 850
    assert {model_caption(("stairs",), None, rng) for _ in range(30)} == {"stairs"}


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("stairs", True), ("slices of cheese", True), ("shoes", True), ("crate of onions", False), ("cactus", False),
        ("glass", False), ("row of books", False), ("kitchen counter with plates", False), ("slippers in a box", True),
    ],
)  # fmt: skip
def test_plurals(noun: str, expected: bool) -> None:
    assert is_plural(noun) == expected


def test_weights_draw_a_noun_by_the_root_of_its_count(small_pool: pool.Pool) -> None:
    """Sixteen houses, one of them red, and a bear; the models' rows stand in another order than in the header."""
    nouns = ["bear", *["house"] * 15, "red house"]
    models = tuple(replace(CRATE, key=str(i), nouns=(noun,)) for i, noun in enumerate(nouns))
    order = [*range(1, 17), 0]
    family = [*small_pool.family, *(f"model/{i}" for i in order)]
    rows = np.concatenate([np.arange(20), np.zeros(17, int)])
    arrays = {name: getattr(small_pool, name)[rows] for name in ("points", "slot", "queries", "sdf")}
    mixed = pool.Pool(**arrays, family=family, words=[([], [])] * 37, models=models)
    for weights, share in ((mixed.weights(), 17 / 37), (mixed.weights(real=0.3), 0.3)):
        chances = weights / weights.sum()
        assert len(set(chances[:20])) == 1
        assert chances[20:].sum() == pytest.approx(share)
        assert chances[20:36].sum() == pytest.approx(4 * chances[36])
    assert np.array_equal(small_pool.weights(real=0.3), np.ones(20))
    for wrong in (0, 1, -1, float("nan")):
        with pytest.raises(InputError, match="share of real models: expected more than 0"):
            mixed.weights(real=wrong)


def test_a_tenth_of_the_models_is_held_out_in_every_pool(small_pool: pool.Pool) -> None:
    models = tuple(replace(CRATE, key=f"kaykit/pack/{i}") for i in range(1000))
    # Twice the twenty procedural objects, with all models in between.
    rows = np.concatenate([np.arange(20), np.zeros(1000, int), np.arange(20)])
    family = [*small_pool.family, *(f"model/{i}" for i in range(1000)), *small_pool.family]
    arrays = {name: getattr(small_pool, name)[rows] for name in ("points", "slot", "queries", "sdf")}
    large = pool.Pool(**arrays, family=family, words=[([], [])] * 1040, models=models)
    training, validation = large.split(0.1)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(1040))
    of_models = [model.key for i in validation if (model := large.model(int(i))) is not None]
    assert 70 < len(of_models) < 130
    assert [i for i in validation if large.model(int(i)) is None] == [1036, 1037, 1038, 1039]
    turned = replace(large, models=models[::-1])
    again = [model.key for i in turned.split(0.1)[1] if (model := turned.model(int(i))) is not None]
    assert set(again) == set(of_models)


@pytest.mark.parametrize("version", [None, 1, pool.VERSION + 1, "2"])
def test_another_version_is_refused(pool_path: Path, tmp_path: Path, version: object) -> None:
    with safe_open(pool_path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in ("points", "slot", "queries", "sdf")}
        header = json.loads(file.metadata()["enpointe-pool"])
    assert header.pop("version") == pool.VERSION
    save_file(
        arrays,
        tmp_path / "p",
        metadata={"enpointe-pool": json.dumps(header | ({"version": version} if version else {}))},
    )
    with pytest.raises(
        InputError, match=f"expected a pool of version {pool.VERSION}, found version {version or 1}; build"
    ):
        pool.read(tmp_path / "p")


DAMAGE: dict[str, Any] = {
    "no models": lambda models: models.clear(),
    "no colours": lambda models: models[0].update(colors=[]),
    "fewer colours": lambda models: models[0]["colors"].pop(),
    "no colours at all": lambda models: models[0].pop("colors"),
    "odd colours": lambda models: models[0]["colors"].__setitem__(0, [0.5, 0.5, 1.5]),
    "infinite colours": lambda models: models[0]["colors"].__setitem__(0, [0.5, 0.5, float("nan")]),
    "no shares": lambda models: models[0].update(shares=[]),
    "odd shares": lambda models: models[0]["shares"].__setitem__(0, 1.5),
    "no nouns": lambda models: models[0].update(nouns=[]),
    "odd nouns": lambda models: models[0].update(nouns=[1]),
    "no attribution": lambda models: models[0].pop("licence"),
    "odd models": lambda models: models.__setitem__(0, "crate"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_models_that_do_not_fit_are_refused(mixed_path: Path, tmp_path: Path, damage: str) -> None:
    with safe_open(mixed_path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in ("points", "slot", "queries", "sdf")}
        header = json.loads(file.metadata()["enpointe-pool"])
    DAMAGE[damage](header["models"])
    save_file(arrays, tmp_path / "p", metadata={"enpointe-pool": json.dumps(header)})
    with pytest.raises(InputError, match="expected a pool made by"):
        pool.read(tmp_path / "p")


def test_a_pool_of_no_clouds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one procedural cloud, found 0"):
        pool.build(tmp_path / "p", **{**SIZE, "n_clouds": 0})
    assert not list(tmp_path.iterdir())


def _drawn(model: RealModel, rng: np.random.Generator) -> tuple[NDArray[np.float32], str]:
    """Colors of one draw and a caption."""
    colors, paint = model.draw_colors(rng)
    return colors, model.caption(paint, rng)
