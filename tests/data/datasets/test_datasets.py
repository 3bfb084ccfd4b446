"""Pools, shards and mixtures of them, all through one protocol: whole epochs, shares, splits, exact resumption."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data.fake_build import CONFIG, FakeRenderer, asset, boxes
from enpointe.core.errors import InputError
from enpointe.data.build.build import build_shards
from enpointe.data.datasets import Dataset, Mixture, PoolDataset, ShardDataset, open_dataset
from enpointe.data.example import Example
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.data.shards import buckets
from enpointe.data.shards.reader import read_shards
from enpointe.data.splits import is_held_out

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here, for speed")
BOXES, OBJECTS, PER_SHARD = 40, 20, 9
Open = Callable[[Path, Path], Dataset]
KINDS: dict[str, Open] = {
    "pool": lambda pool, shards: open_dataset(pool),
    "shards": lambda pool, shards: open_dataset(shards),
    "mixture": lambda pool, shards: open_dataset([pool, shards], [1.0, 2.0]),
    "mixture in a mixture": lambda pool, shards: Mixture(
        ((open_dataset([pool, shards]), 1.0), (open_dataset(pool), 1.0))
    ),
    "training pool": lambda pool, shards: open_dataset(pool).split(held_out=False),
    "held-out shards": lambda pool, shards: open_dataset(shards).split(held_out=True),
    "a share of training shards": lambda pool, shards: open_dataset(shards).split(held_out=False).share(1, 3),
    "a share of a mixture": lambda pool, shards: open_dataset([pool, shards]).split(held_out=False).share(1, 2),
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("datasets") / "shards"
    build_shards(boxes(BOXES), out, FakeRenderer, CONFIG, per_shard=PER_SHARD, method="fork")
    return out


def keys(dataset: Dataset, n: int, seed: int = 0) -> list[str]:
    return [example.key for example in islice(dataset.stream(seed), n)]


def content(example: Example) -> tuple[object, ...]:
    """All of an example, as values that can be compared."""
    views = [(view.image, view.camera.header()) for view in example.views]
    return example.key, example.captions, example.points.tolist(), example.colors.tolist(), views


# What a place is


@pytest.mark.slow
def test_places_are_recognized(pool_path: Path, shards: Path, tmp_path: Path) -> None:
    assert isinstance(open_dataset(pool_path), PoolDataset)
    assert isinstance(open_dataset(str(shards)), ShardDataset)
    assert isinstance(open_dataset([pool_path, shards], [1.0, 0.5]), Mixture)
    build_shards(boxes(2), "memory://datasets/two", FakeRenderer, CONFIG, work=tmp_path / "work", method="fork")
    assert open_dataset("memory://datasets/two").size == 2
    (tmp_path / "text").write_text("no pool")
    for place, reason in (
        (tmp_path / "none", "expected a pool's file or a folder of shards, found none"),
        (tmp_path / "text", "expected a pool made by"),
        (tmp_path, "expected a finished set of shards"),
        ([pool_path, tmp_path], "expected a finished set of shards"),
        ([], "expected data sets with weights above 0"),
    ):
        with pytest.raises(InputError, match=reason):
            open_dataset(place)
    for weights, reason in (
        ([0.0], "expected data sets with weights above 0"),
        ([float("nan")], "expected data sets with weights above 0"),
        ([1.0, 2.0], "expected one for each of 1 data sets, found 2"),
    ):
        with pytest.raises(InputError, match=reason):
            open_dataset([pool_path], weights)
    with pytest.raises(InputError, match="expected none for one data set"):
        open_dataset(pool_path, [1.0])


# What examples are


def test_examples_of_a_pool_are_its_objects_in_fresh_paint(small_pool: Pool) -> None:
    dataset = PoolDataset(small_pool)
    stream = dataset.stream()
    first, second = ({one.key: one for one in islice(stream, OBJECTS)} for _ in range(2))
    assert set(first) == set(second) == {f"{name}/{i}" for i, name in enumerate(small_pool.family)}
    assert list(first) != list(second)
    for i, name in enumerate(small_pool.family):
        one, other = first[f"{name}/{i}"], second[f"{name}/{i}"]
        stored = {tuple(point) for point in small_pool.stored_points(i).tolist()}
        assert {tuple(point) for point in one.points.tolist()} == stored
        assert one.colors.shape == one.points.shape == (600, 3)
        assert one.distances is not None
        queries, values = small_pool.distances(i)
        assert np.array_equal(one.distances.queries, queries)
        assert np.array_equal(one.distances.values, values)
        assert not np.array_equal(one.colors, other.colors)
    assert sum(first[key].caption != second[key].caption for key in first) > OBJECTS / 2


def test_objects_of_a_pool_by_index(small_pool: Pool) -> None:
    held_out = PoolDataset(small_pool).split(held_out=True)
    assert len(held_out) == held_out.size == 1
    assert held_out[0].key == f"{small_pool.family[19]}/19"
    dataset = PoolDataset(small_pool)
    assert [dataset[i].key for i in range(len(dataset))] == [f"{name}/{i}" for i, name in enumerate(small_pool.family)]
    assert content(dataset[3]) == content(dataset[3])
    assert content(dataset[19]) == content(held_out[0])
    with pytest.raises(IndexError):
        dataset[OBJECTS]


def test_examples_of_shards_are_their_records(shards: Path) -> None:
    records = {record.key: record for record in read_shards(shards)}
    dataset = open_dataset(shards)
    assert dataset.size == len(records) == BOXES
    for example in islice(dataset.stream(), BOXES):
        record = records.pop(example.key)
        assert np.array_equal(example.points, record.cloud().points)
        assert np.array_equal(example.colors, record.cloud().colors)
        assert example.points.dtype == example.colors.dtype == np.float32
        assert example.captions == record.captions
        assert [view.camera.header() for view in example.views] == [view.camera.header() for view in record.views]
        assert example.views[0].pixels().shape == (24, 24, 4)
        assert example.distances is None
    assert not records


# Order and resumption


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [0, 1, 13, OBJECTS, BOXES, 100])
@pytest.mark.slow
def test_a_stream_is_resumed_at_any_example(kind: str, stop: int, pool_path: Path, shards: Path) -> None:
    whole, stopped = (KINDS[kind](pool_path, shards).stream(seed=5) for _ in range(2))
    for _ in range(stop):
        assert content(next(whole)) == content(next(stopped))
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = KINDS[kind](pool_path, shards).stream(seed=5)
    next(resumed)  # it need not be new
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    for _ in range(50):
        assert content(next(whole)) == content(next(resumed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_the_seed_makes_the_order(kind: str, pool_path: Path, shards: Path) -> None:
    dataset = KINDS[kind](pool_path, shards)
    assert keys(dataset, 60, seed=1) == keys(dataset, 60, seed=1)
    assert keys(dataset, 60, seed=1) != keys(dataset, 60, seed=2)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("pool", {"rank": 1, "ranks": 2}), ("pool", {"seed": 1}), ("pool", {"held_out": True}), ("pool", {"pool": 1}),
        ("pool", {"done": -1}), ("pool", {"epoch": "1"}), ("shards", {"held_out": True}), ("shards", {"seed": 1}),
        ("shards", {"part": 1}), ("mixture", {"weights": [1.0, 1.0]}), ("mixture", {"seed": 3}),
        ("mixture", {"drawn": None}), ("mixture", {"rank": 1}),
    ],
)  # fmt: skip
def test_the_state_of_another_stream_is_refused(
    kind: str, others: dict[str, object], pool_path: Path, shards: Path
) -> None:
    stream = KINDS[kind](pool_path, shards).stream()
    state = stream.state_dict()
    assert others.keys() <= state.keys()
    with pytest.raises(InputError, match="expected"):
        stream.load_state_dict({**state, **others})


# Parts


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["pool", "shards", "training pool"])
def test_shares_are_disjoint_and_complete(kind: str, ranks: int, pool_path: Path, shards: Path) -> None:
    whole = KINDS[kind](pool_path, shards)
    assert whole.size is not None
    parts = [whole.share(rank, ranks) for rank in range(ranks)]
    sizes = [part.size or 0 for part in parts]
    assert sum(sizes) == whole.size
    assert max(sizes) - min(sizes) <= 1
    epochs = []
    for part, size in zip(parts, sizes, strict=True):
        drawn = keys(part, 2 * size, seed=4)
        epochs.append((drawn[:size], drawn[size:]))
    for number in range(2):
        together = [key for epoch in epochs for key in epoch[number]]
        assert sorted(together) == sorted(keys(whole, whole.size, seed=4))


def test_splits_are_disjoint_and_complete(pool_path: Path, shards: Path) -> None:
    for dataset, n in ((open_dataset(pool_path), OBJECTS), (open_dataset(shards), BOXES)):
        parts = [set(keys(dataset.split(held_out), 3 * n)) for held_out in (False, True)]
        assert not parts[0] & parts[1]
        assert parts[0] | parts[1] == set(keys(dataset, n))


def test_shares_of_a_split_of_shards_are_disjoint_and_complete(shards: Path) -> None:
    training = open_dataset(shards).split(held_out=False)
    assert training.size is None
    wanted = sorted(key for key in keys(open_dataset(shards), BOXES) if not is_held_out(key))
    found = []
    for rank in range(3):
        stream = training.share(rank, 3).stream(seed=2)
        while stream.state_dict()["epoch"] == 0:  # until the first of the next epoch
            found.append(next(stream).key)
        found.pop()
    assert sorted(found) == wanted


def test_a_model_is_held_out_wherever_it_is_stored(shards: Path) -> None:
    """A tenth, by its key: of a pool's real models and of records alike."""
    names = [f"kaykit/pack/{i}" for i in range(2000)]
    held_out = [name for name in names if is_held_out(name)]
    assert 150 < len(held_out) < 250
    dataset = ShardDataset(str(shards))
    for name in names[:100]:
        model = RealModel(name, ("thing",), np.zeros((1, 3), np.float32), "", "", "")
        assert model.held_out == dataset.split(True).has(name) != dataset.split(False).has(name)


def test_a_part_without_examples_is_refused(small_pool: Pool, tmp_path: Path) -> None:
    training = next(f"box/{i}" for i in range(100) if not is_held_out(f"box/{i}"))
    build_shards([asset(training, boxes(1)[0].load)], tmp_path / "one", FakeRenderer, CONFIG, method="fork")
    with pytest.raises(InputError, match="expected records in this part of the shards, found none"):
        next(open_dataset(tmp_path / "one").split(held_out=True).stream())
    with pytest.raises(InputError, match="expected objects in this part of the pool, found none among 20"):
        PoolDataset(small_pool).split(held_out=True).share(0, 2).stream()
    for dataset in (PoolDataset(small_pool), ShardDataset(str(tmp_path / "one")), open_dataset([tmp_path / "one"])):
        with pytest.raises(InputError, match="expected 0 <= rank < ranks, found rank 2 of 2"):
            dataset.share(2, 2)


def test_weights_of_buckets_count_in_training(shards: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shards"
    copy.mkdir()
    for path in shards.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    buckets.write_buckets(copy, 1)
    table = copy / buckets.TABLE
    table.write_text(table.read_text().replace("0,1,40", "0,2,40"))
    dataset = open_dataset(copy)
    assert dataset.size is None
    assert set(Counter(keys(dataset, 2 * BOXES)).values()) == {2}
    held_out = dataset.split(held_out=True)
    n = sum(map(is_held_out, keys(open_dataset(shards), BOXES)))
    assert n > 0
    assert set(Counter(keys(held_out, 3 * n)).values()) == {3}


# Mixtures


def test_mixtures_have_the_ratio_of_their_weights(pool_path: Path, shards: Path) -> None:
    mixture = open_dataset([pool_path, shards], [3.0, 1.0])
    assert mixture.size == OBJECTS + BOXES
    drawn = keys(mixture, 800, seed=9)
    of_shards = [key for key in drawn if key.startswith("box/")]
    assert abs(len(of_shards) / 800 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 800)
    # Each part goes through its own epochs: no object comes much more often than another.
    counts = Counter(drawn)
    assert len(counts) == OBJECTS + BOXES
    for part in (of_shards, [key for key in drawn if key not in set(of_shards)]):
        times = [counts[key] for key in set(part)]
        assert max(times) - min(times) <= 1


def test_every_rank_draws_for_itself_from_its_share(pool_path: Path, shards: Path) -> None:
    mixture = open_dataset([pool_path, shards])
    ranks = [keys(mixture.share(rank, 2), 300) for rank in range(2)]
    parts = [[key.startswith("box/") for key in rank] for rank in ranks]
    assert parts[0] != parts[1]
    assert open_dataset([pool_path, shards]).split(held_out=False).size is None


def test_a_pool_goes_to_other_processes_by_its_path(pool_path: Path, small_pool: Pool) -> None:
    weights = np.linspace(0, 1, OBJECTS)
    for dataset, most in ((PoolDataset.open(pool_path), 2000), (PoolDataset(small_pool), 10**7)):
        part = dataset.weighted(weights).split(held_out=False).share(1, 2)
        sent = pickle.dumps(part)
        assert len(sent) < most
        found = pickle.loads(sent)  # noqa: S301 - our own
        assert isinstance(found, PoolDataset)
        assert [content(one) for one in islice(found.stream(3), 5)] == [
            content(one) for one in islice(part.stream(3), 5)
        ]


# Weights


def test_objects_come_in_proportion_to_their_weights(small_pool: Pool) -> None:
    """Rounded up or down in each epoch, never more; those of weight 0 never."""
    weights = np.array([0.0, 4.0, *[1.0] * 10, *[0.5] * 8])
    training = PoolDataset(small_pool).weighted(weights).split(held_out=False)
    assert training.size == len(training) == 18  # without the first, and the held-out last
    drawn = keys(training, 18 * 40)
    expected = {f"{small_pool.family[i]}/{i}": 18 * weight / weights[:19].sum() for i, weight in enumerate(weights)}
    for number in range(40):
        counts = Counter(drawn[18 * number : 18 * (number + 1)])
        assert all(abs(counts[key] - expected[key]) < 1 for key in list(expected)[:19])
    total = Counter(drawn)
    assert total[f"{small_pool.family[1]}/1"] / 40 == pytest.approx(expected[f"{small_pool.family[1]}/1"], abs=0.25)
    held_out = PoolDataset(small_pool).weighted(weights).split(held_out=True)
    assert keys(held_out, 3) == [f"{small_pool.family[19]}/19"] * 3
    assert not PoolDataset(small_pool).weighted(np.eye(OBJECTS)[3]).split(held_out=True).size


def test_shares_of_weighted_objects_make_up_the_epoch(small_pool: Pool) -> None:
    whole = PoolDataset(small_pool).weighted(np.linspace(0.2, 1, OBJECTS)).weighted(np.linspace(1, 3, OBJECTS))
    shares = [keys(whole.share(rank, 3), whole.share(rank, 3).size) for rank in range(3)]
    assert sorted(key for share in shares for key in share) == sorted(keys(whole, OBJECTS))
    assert np.array_equal(whole.weights, np.linspace(0.2, 1, OBJECTS) * np.linspace(1, 3, OBJECTS))  # type: ignore[arg-type]


def test_an_object_that_comes_twice_in_an_epoch_is_painted_anew(small_pool: Pool) -> None:
    only = PoolDataset(small_pool).weighted(np.eye(OBJECTS)[[2, 4]].sum(0) * [1, 1, 9, 1, 1, *[1] * 15])
    stream = only.stream()
    found = [next(stream) for _ in range(40)]
    often = [one for one in found if one.key.endswith("/2")]
    assert len(often) > 30
    assert len({one.colors.tobytes() for one in often}) == len(often)
