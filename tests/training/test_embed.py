"""What the pocket base knows goes from its training data into the header of its weights, and from there to prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from enpointe.checkpoints.weights import read_weights
from enpointe.data.datasets import PoolDataset
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.data.procedural.families import FAMILIES
from enpointe.pipelines.families.pocket import things
from enpointe.pipelines.families.pocket.members import Members
from enpointe.pipelines.families.pocket.things import Thing, embedded_things, things_of
from enpointe.training import embed
from enpointe.training.vocabulary import vocabulary


def words_of(pool: Pool, objects: list[int]) -> list[dict[str, list[str]]]:
    weights = np.zeros(len(pool))
    weights[objects] = 1
    return vocabulary(PoolDataset(pool).weighted(weights))


def test_it_lists_the_words_of_the_objects_themselves(data: Pool) -> None:
    words: list[tuple[list[str], list[str]]] = [(["tall", ""], []), (["low"], ["with a lid"]), *data.words[2:]]
    pool = replace(data, family=["mug", "mug", *data.family[2:]], words=words, slot=np.zeros_like(data.slot))
    (mug,) = words_of(pool, [0, 1])
    assert Thing.from_json(mug) == Thing(
        tuple(FAMILIES["mug"].names),
        adjectives=("low", "tall"),
        parts=tuple(slot.label for slot in FAMILIES["mug"].slots if slot.label),
        phrases=("with a lid",),
    )
    assert words_of(pool, [0])[0]["phrases"] == []


def test_real_models_are_left_out(data: Pool) -> None:
    model = RealModel("a", ("gizmo",), np.ones((1, 3), np.float32), "", "", "")
    pool = replace(data, family=["model/0", *data.family[1:]], models=(model,), slot=np.zeros_like(data.slot))
    assert words_of(pool, [0]) == []


def test_it_is_what_the_package_lists_of_the_same_families(data: Pool) -> None:
    """The list in the package is of weights whose header has none; adjectives and phrases depend on the data."""
    by_name = {family.names[0]: name for name, family in FAMILIES.items()}
    listed = [by_name[thing.name] for thing in embedded_things()]
    size = 2 * len(listed)  # a few of the last are held out
    everything = replace(
        data, family=[*listed, *listed], words=[([], [])] * size, points=np.zeros((size, 1, 3), np.int16)
    )
    found = [Thing.from_json(thing) for thing in vocabulary(PoolDataset(everything))]
    assert found == [replace(thing, adjectives=(), phrases=()) for thing in embedded_things()]


def test_embedded_weights_tell_what_they_know(
    tiny: ModuleType, data: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "embedded_path", lambda member: tmp_path / f"{member}.safetensors")
    for module in (embed, things):
        monkeypatch.setattr(module, "VOCABULARY", tmp_path / "vocabulary.json")
    best = tiny.train(data, tmp_path / "run", steps=1)
    path = embed.embed(best, "layout", quality={"loss": 0.5})
    info = read_weights(path).info
    assert info["quality"] == {"loss": 0.5}
    known = things_of(info)
    embedded_things.cache_clear()
    assert embedded_things() == known
    embedded_things.cache_clear()
    assert {thing.name for thing in known} == {FAMILIES[name].names[0] for name in data.family[:7]}  # one is held out
    assert Members(torch.device("cpu"), path).vocabulary("a dog").things == known
    assert json.loads(json.dumps(info["vocabulary"])) == info["vocabulary"]
