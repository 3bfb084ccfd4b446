"""Scenes in a pool: stored with the slots of all that is in them, painted and said as they are, held out by number."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial import cKDTree

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress
from enpointe.data.pools import pool
from enpointe.data.procedural.scenes import BEFORE, BESIDE, ON

SIZE: dict[str, Any] = {"n_clouds": 4, "n_scenes": 50, "n_points": 512, "n_queries": 32, "seed": 2}
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
SAID = {ON: " (on|on top of|standing on) ", BESIDE: " (beside|next to|and) ", BEFORE: " (in front of|behind) "}


@pytest.fixture(scope="module")
def scenes_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenes") / "pool"
    pool.build(path, workers=1, **SIZE)
    return path


@pytest.fixture(scope="module")
def scenes(scenes_path: Path) -> pool.Pool:
    return pool.read(scenes_path)


@pytest.mark.slow
def test_they_come_after_the_same_objects_whatever_the_number_of_workers(scenes_path: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    pool.build(tmp_path / "two", workers=2, progress=seen.append, **SIZE)
    assert seen[-1] == Progress("clouds", 54, 54)
    assert (tmp_path / "two").read_bytes() == scenes_path.read_bytes()
    pool.build(tmp_path / "alone", workers=1, **{**SIZE, "n_scenes": 0})
    alone, mixed = pool.read(tmp_path / "alone"), pool.read(scenes_path)
    assert mixed.family[:4] == alone.family
    assert np.array_equal(mixed.points[:4], alone.points)


def test_what_a_pool_says_of_them(scenes: pool.Pool) -> None:
    assert scenes.family[4:] == [f"scene/{i}" for i in range(50)]
    assert [scenes.scene(i) is None for i in range(54)] == [True] * 4 + [False] * 50
    assert all(scenes.model(i) is None for i in range(54))
    assert scenes.nouns(0) == (scenes.family[0],)
    assert scenes.nouns(5) == ()
    assert scenes.key(5) == "scene/1/5"
    assert np.array_equal(scenes.weights(), np.ones(54))


def test_every_member_shows(scenes: pool.Pool) -> None:
    for index in range(4, 54):
        scene = scenes.scene(index)
        assert scene is not None
        members = np.array([int(slot.partition("/")[0]) for slot in scene.slots])
        shares = np.bincount(members[scenes.slot[index]], minlength=len(scene.members)) / 512
        assert (shares > 0.03).all(), scene


def test_captions_say_number_and_relation_and_the_paint_of_the_points(scenes: pool.Pool) -> None:
    said = Counter[str]()
    for index in range(4, 54):
        scene = scenes.scene(index)
        assert scene is not None
        for seed in range(6):
            drawn = scenes.draw(index, 512, np.random.default_rng(seed))
            again = scenes.draw(index, 512, np.random.default_rng(seed))
            assert drawn.caption == again.caption
            assert np.array_equal(drawn.colors, again.colors)
            assert len(np.unique(drawn.colors, axis=0)) <= len(scene.slots)
            for member in scene.members:
                if member.count > 1:
                    assert re.search(rf"\b{NUMBERS[member.count]} ", drawn.caption), drawn.caption
            if scene.relation:
                assert re.search(SAID[scene.relation], drawn.caption), drawn.caption
            else:
                assert drawn.caption.startswith(NUMBERS[scene.members[0].count])
                assert not re.search("|".join(SAID.values()), re.sub(r" with .*", "", drawn.caption))
            said[scene.relation] += 1
    assert len(said) == 4


def test_distances_are_those_of_the_union(scenes: pool.Pool) -> None:
    for index in range(4, 54):
        queries, distances = scenes.distances(index)
        nearest, _ = cKDTree(scenes.stored_points(index)).query(queries)
        assert (nearest > np.abs(distances) - 0.006).all()
    assert any((scenes.distances(index)[1] < 0).any() for index in range(4, 54))


def test_the_last_of_them_are_held_out_beside_the_last_objects(scenes: pool.Pool) -> None:
    training, validation = scenes.split(0.1)
    assert validation.tolist() == [3, *range(49, 54)]
    assert len(training) == 48


def test_a_negative_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="n_scenes: expected no negative number, found -1"):
        pool.build(tmp_path / "p", **{**SIZE, "n_scenes": -1})


DAMAGE: dict[str, Any] = {
    "no scenes": lambda header: header.pop("scenes"),
    "fewer": lambda header: header["scenes"].pop(),
    "other members": lambda header: header["scenes"][0].update(members=[["key", 2]], relation=""),
    "odd members": lambda header: header["scenes"][0].update(members=[["unicorn", 2]]),
    "odd relation": lambda header: header["scenes"][0].update(relation="under"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_scenes_that_do_not_fit_are_refused(scenes_path: Path, tmp_path: Path, damage: str) -> None:
    with safe_open(scenes_path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in ("points", "slot", "queries", "sdf")}
        header = json.loads(file.metadata()["enpointe-pool"])
    DAMAGE[damage](header)
    save_file(arrays, tmp_path / "p", metadata={"enpointe-pool": json.dumps(header)})
    with pytest.raises(InputError, match="expected a pool made by"):
        pool.read(tmp_path / "p")
