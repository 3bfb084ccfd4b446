"""The feed from a device's memory: the other's keys, true examples, by their weights, a function of the step."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from enpointe.core.errors import InputError
from enpointe.core.progress import Progress
from enpointe.data.datasets import Mixture, PoolDataset, ShardDataset
from enpointe.data.pools.models import RealModel
from enpointe.data.pools.pool import Pool
from enpointe.training.feed.opening import open_feed
from enpointe.training.feed.resident import ResidentFeed, ResidentText
from enpointe.training.feed.streaming import StreamingFeed
from enpointe.training.feed.text import TextFeatures
from enpointe.training.parallel import Group
from enpointe.training.settings import Phase
from enpointe.training.tasks.pocket_layout import LayoutExamples
from training.line import LineTask

CPU = torch.device("cpu")
PHASE = Phase(1.0, 400, LayoutExamples(16))


def opened(task: Any, **options: Any) -> ResidentFeed:
    options = {"appearances": 3, "seed": 5, "device": CPU, "dtype": torch.float32, **options}
    return ResidentFeed(task, **options)


def object_of(pool: Pool, points: torch.Tensor) -> int:
    """Which object of the pool has all of these points (P, 3)."""
    wanted = {tuple(np.round(point * 1e4).astype(int)) for point in points.numpy()}
    found = [
        i for i in range(len(pool))
        if wanted <= {tuple(np.round(point * 1e4).astype(int)) for point in pool.stored_points(i)}
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]


def test_it_has_the_keys_of_the_streaming_feed(tiny: ModuleType, data: Pool) -> None:
    task = tiny.TinyTask(data)
    streaming = StreamingFeed(task, seed=0, device=CPU, dtype=torch.float32).batch(0, PHASE)
    resident = opened(task).batch(0, PHASE)
    assert {key: (value.shape, value.dtype) for key, value in resident.items()} == {
        key: (value.shape, value.dtype) for key, value in streaming.items()
    }


@pytest.mark.slow
def test_examples_are_objects_in_some_of_their_appearances(tiny: ModuleType, data: Pool) -> None:
    seen: list[Progress] = []
    task = tiny.TinyTask(data)
    made = opened(task, progress=seen.append).batch(0, PHASE)
    captions: dict[int, set[bytes]] = {}
    palettes: dict[int, set[bytes]] = {}
    for points, colors, text in zip(made["points"], made["colors"], made["text"], strict=True):
        index = object_of(data, points)
        captions.setdefault(index, set()).add(text.numpy().tobytes())
        palettes.setdefault(index, set()).update(color.numpy().tobytes() for color in colors)
    assert captions.keys() == set(range(7))  # the last is held out
    assert all(1 <= len(texts) <= 3 for texts in captions.values())
    for index, colors in palettes.items():
        assert len(np.unique(data.slot[index])) < len(colors) <= 3 * (1 + int(data.slot[index].max()))
    assert made["colors"].min() >= 0
    assert made["colors"].max() <= 1
    assert [one.done for one in seen if one.stage == "appearances"] == [7]
    assert [one for one in seen if one.stage == "captions"][-1].done <= 21


@pytest.mark.slow
def test_colors_and_words_belong_together(data: Pool) -> None:
    """What an appearance's caption names is the color of its points."""
    from enpointe.training.feed.resident import draw_appearances

    drawn = draw_appearances(data, list(range(len(data))), 4, seed=1)
    first = np.cumsum(drawn.sizes) - drawn.sizes
    checked = 0
    for row, caption in enumerate(drawn.captions):
        main = drawn.palette[first[row]].astype(np.float32)
        if " red " in f" {caption.split(' with ')[0]} ":
            assert main[0] == main.max()
            checked += 1
    assert len(drawn.captions) == 4 * len(data)
    assert np.array_equal(draw_appearances(data, list(range(len(data))), 4, seed=1).palette, drawn.palette)


def test_a_batch_is_a_function_of_the_step_and_the_rank(tiny: ModuleType, data: Pool) -> None:
    task = tiny.TinyTask(data)
    one, two, other = opened(task), opened(task), opened(task, rank=1, ranks=2)
    for step in (4, 2):  # in any order: it has no state
        found = [feed.batch(step, PHASE) for feed in (one, two)]
        assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    assert not torch.equal(one.batch(2, PHASE)["points"], one.batch(3, PHASE)["points"])
    half = other.batch(2, PHASE)["points"]
    assert half.shape == (200, 16, 3)
    assert not torch.equal(half, one.batch(2, PHASE)["points"][:200])
    one.load_state_dict(one.state_dict())
    with pytest.raises(InputError, match="found a stream's"):
        one.load_state_dict({"streams": []})


def test_objects_come_by_their_weights_and_pools_by_theirs(tiny: ModuleType, data: Pool) -> None:
    task = tiny.TinyTask(data)
    weights = np.array([1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    small = replace(data, points=data.points[:, :100], slot=data.slot[:, :100])
    task.data = Mixture(((PoolDataset(data).weighted(weights), 1.0), (PoolDataset(small).weighted(weights[::-1]), 3.0)))
    # Of the second pool, weights are 1, 0, 0, 0, 0, 0, 3, 1: the last is held out.
    found = opened(task).batch(0, Phase(1.0, 4000, LayoutExamples(4)))
    shown = found["points"].numpy()
    counts = np.zeros(8)
    stored = [{tuple(np.round(point * 1e4).astype(int)) for point in data.stored_points(i)} for i in range(8)]
    for cloud in shown:
        point = tuple(np.round(cloud[0] * 1e4).astype(int))
        counts[[i for i in range(8) if point in stored[i]]] += 1
    expected = np.array([0.25 * 0.25 + 0.75 * 0.25, 0.25 * 0.75, 0, 0, 0, 0, 0.75 * 0.75, 0]) * 4000
    assert np.abs(counts - expected).max() < 5 * np.sqrt(4000 * 0.25)


@pytest.mark.slow
def test_workers_draw_the_same(tiny: ModuleType, data: Pool) -> None:
    task = tiny.TinyTask(data)
    one, two = opened(task), opened(task, workers=2)
    found = [feed.batch(1, PHASE) for feed in (one, two)]
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_real_models_of_many_materials(tiny: ModuleType, data: Pool) -> None:
    """Each point has its material's color, however many an object has."""
    colors = np.linspace(0, 1, 3 * 128, dtype=np.float32).reshape(128, 3)
    model = RealModel("thing", ("gizmo",), colors, "", "", "")
    slot = np.where(np.arange(8)[:, None] == 2, np.arange(128, dtype=np.uint8), data.slot)
    pool = replace(data, family=[*data.family[:2], "model/0", *data.family[3:]], models=(model,), slot=slot)
    task = tiny.TinyTask(pool)
    task.data = PoolDataset(pool).weighted(np.array([0, 0, 1.0, 0, 0, 0, 0, 1]))
    made = opened(task).batch(0, Phase(1.0, 5, LayoutExamples(128)))
    wanted = {tuple(row) for row in colors.astype(np.float16).astype(np.float32).tolist()}
    assert {tuple(row) for row in made["colors"][0].tolist()} == wanted
    where = {tuple(np.round(p * 1e4).astype(int)): c for p, c in zip(pool.stored_points(2), colors, strict=True)}
    for point, color in zip(made["points"][3].numpy(), made["colors"][3].numpy(), strict=True):
        assert where[tuple(np.round(point * 1e4).astype(int))] == pytest.approx(color, abs=1e-3)


def test_features_of_texts_without_padding() -> None:
    captions = ["a red car", "", "a tall wooden chair with a blue seat", "a red car", "dog"]
    text = ResidentText(captions, 8, CPU, torch.float32)
    rows = torch.tensor([4, 0, 1, 3, 2, 0])
    assert torch.equal(text(rows), TextFeatures(CPU, 8)([captions[row] for row in rows]))


def test_what_it_cannot_be_made_of(tiny: ModuleType, data: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="expected a task of clouds and captions, found LineTask"):
        opened(LineTask())
    monkeypatch.setattr(ShardDataset, "__post_init__", lambda self: None)
    task = tiny.TinyTask(data)
    task.data = ShardDataset("anywhere")
    with pytest.raises(InputError, match="expected pools, found shards"):
        opened(task)


def test_which_feed_a_run_has(tiny: ModuleType, data: Pool) -> None:
    def kind(task: Any, feed: Any) -> type:
        settings = replace(tiny.SETTINGS, feed=feed)
        return type(open_feed(task, settings, CPU, torch.float32, Group()))

    assert kind(tiny.TinyTask(data), "auto") is StreamingFeed
    assert kind(tiny.TinyTask(data), "resident") is ResidentFeed
    assert kind(LineTask(), "auto") is StreamingFeed
    with pytest.raises(InputError, match="expected auto, stream or resident, found 'x'"):
        kind(LineTask(), "x")
