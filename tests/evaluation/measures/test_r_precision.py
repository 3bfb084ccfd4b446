"""R-Precision where it can be told beforehand: right answers, chance, ties, duplicates, few prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.measures import r_precision as module
from enpointe.evaluation.measures.r_precision import TOP, r_precision, text_pool


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_features_that_say_the_text_are_all_right() -> None:
    texts = np.eye(12, 20, dtype=np.float32)
    truth = np.array([3, 0, 11, 3])
    found = r_precision(np.repeat(texts[truth][:, None], 2, axis=1), texts, truth)
    assert (found.r_at_1, found.r_at_5, found.clip_score) == (1, 1, 100)
    assert (found.samples, found.prompts, found.pool, found.views) == (4, 3, 12, 2)
    assert all((match.rank, match.right, match.rival_score) == (1, 1, 0) for match in found.per_sample)
    assert found.chance == 1 / 12
    assert found.note is None


def test_features_of_nothing_are_right_by_chance() -> None:
    n, pool = 4000, 20
    found = r_precision(noise(n, 1, 64), noise(pool, 64, seed=1), np.arange(n) % pool, resamples=0)
    for value, chance in ((found.r_at_1, 1 / pool), (found.r_at_5, TOP / pool)):
        assert value == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n))
    assert found.clip_score == pytest.approx(0, abs=1)
    assert found.intervals == {"r_at_1": None, "r_at_5": None, "clip_score": None}


def test_ranks_and_rivals_of_one_view() -> None:
    """Cosines of one image with six texts, written out."""
    cosines = np.array([0.1, 0.5, -0.2, 0.4, 0.3, 0.2])
    texts = np.diag(np.sqrt(1 - cosines**2))
    texts = np.column_stack([cosines, texts]).astype(np.float32)
    image = np.eye(1, 7, dtype=np.float32)[:, None]
    places = np.argsort(np.argsort(-cosines)) + 1
    for own in range(6):
        match = r_precision(image, texts, np.array([own])).per_sample[0]
        assert match.rank == places[own]
        assert match.right == (places[own] == 1)
        assert match.right_at_5 == (places[own] <= TOP)
        assert match.score == pytest.approx(100 * cosines[own], abs=1e-4)
        assert match.rival == (3 if own == 1 else 1)
        assert match.rival_score == pytest.approx(40 if own == 1 else 50, abs=1e-4)


def test_each_view_is_a_query_or_their_mean_is() -> None:
    """Two texts; one view is clearly for the own one, two are faintly for the other."""
    texts = np.eye(2, 3, dtype=np.float32)
    views = np.array([[[1, 0, 0], [0.1, 0.2, 1], [0.1, 0.2, 1]]], dtype=np.float32)
    each = r_precision(views, texts, np.array([0]))
    assert each.r_at_1 == pytest.approx(1 / 3)
    assert each.per_sample[0].rank == 1
    mean = r_precision(views, texts, np.array([0]), merge="mean")
    assert mean.r_at_1 == 1
    assert mean.clip_score == each.clip_score


def test_equal_cosines_count_against_the_model() -> None:
    """A image that goes equally with all texts has found none; so a constant encoder scores 0, not 1."""
    texts = np.eye(7, dtype=np.float32)
    found = r_precision(np.ones((7, 1, 7), np.float32), texts, np.arange(7))
    assert (found.r_at_1, found.r_at_5) == (0, 0)
    assert {match.rank for match in found.per_sample} == {7}


def test_equal_texts_are_one() -> None:
    texts = np.eye(3, dtype=np.float32)[[2, 0, 1, 0, 0]]
    found = r_precision(np.eye(3, dtype=np.float32)[[0, 0, 1]][:, None], texts, np.array([1, 4, 2]))
    assert (found.r_at_1, found.pool, found.prompts) == (1, 3, 2)
    assert [match.rival for match in found.per_sample] == [0, 0, 0]


def test_lengths_do_not_matter() -> None:
    images, texts, truth = noise(30, 2, 8), noise(6, 8, seed=1), np.arange(30) % 6
    longer = r_precision(images * 7, texts * np.arange(1, 7, dtype=np.float32)[:, None], truth)
    assert longer.r_at_1 == r_precision(images, texts, truth).r_at_1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(2, 9), st.integers(1, 3))
def test_the_order_of_the_pool_and_of_the_samples_does_not_matter(seed: int, pool: int, views: int) -> None:
    rng = np.random.default_rng(seed)
    images, texts = noise(12, views, 6, seed=seed), noise(pool, 6, seed=seed + 1)
    truth = rng.integers(pool, size=12)
    found = r_precision(images, texts, truth, resamples=0)
    order, samples = rng.permutation(pool), rng.permutation(12)
    again = r_precision(images[samples], texts[order], np.argsort(order)[truth[samples]], resamples=0)
    assert [again.per_sample[int(np.argsort(samples)[i])].rank for i in range(12)] == [
        match.rank for match in found.per_sample
    ]
    assert again.r_at_1 == pytest.approx(found.r_at_1)
    assert found.r_at_1 <= found.r_at_5


def test_many_samples_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts, truth = noise(50, 3, 8), noise(9, 8, seed=1), np.arange(50) % 9
    whole = r_precision(images, texts, truth)
    monkeypatch.setattr(module, "CHUNK", 100)
    parts = r_precision(images, texts, truth)
    assert [match.rank for match in parts.per_sample] == [match.rank for match in whole.per_sample]
    assert parts.r_at_1 == whole.r_at_1


def test_one_prompt_and_a_pool_of_one() -> None:
    found = r_precision(noise(5, 2, 8), noise(1, 8, seed=1), np.zeros(5, int))
    assert found.r_at_1 == 1
    assert found.note is not None
    assert "whatever" in found.note
    assert found.intervals["r_at_1"] is None
    assert found.per_sample[0].rival is None
    few = r_precision(noise(5, 1, 8), noise(5, 8, seed=1), np.arange(5))
    assert few.r_at_5 == 1
    assert few.note is not None


def test_the_interval_covers_what_other_prompts_would_give() -> None:
    """Of sets of 60 prompts that are right with probability 0.3 each, nearly all intervals hold 0.3."""
    texts = np.eye(120, dtype=np.float32)
    held = []
    for seed in range(50):
        right = np.random.default_rng(seed).random(60) < 0.3
        seen = np.where(right, np.arange(60), np.arange(60) + 60)
        found = r_precision(texts[seen][:, None], texts, np.arange(60), resamples=200, seed=seed)
        interval = found.intervals["r_at_1"]
        assert interval is not None
        assert interval.low <= found.r_at_1 <= interval.high
        held.append(interval.low <= 0.3 <= interval.high)
    assert np.mean(held) >= 0.88


def test_the_samples_of_a_prompt_stand_or_fall_together() -> None:
    """Twenty samples each of ten prompts say no more than one each, where a prompt's samples fare alike."""
    texts, prompts = np.eye(20, dtype=np.float32), np.arange(10)
    seen = np.where(prompts < 5, prompts, prompts + 10)
    one = r_precision(texts[seen][:, None], texts, prompts)
    many = r_precision(np.repeat(texts[seen], 20, axis=0)[:, None], texts, np.repeat(prompts, 20))
    assert one.intervals["r_at_1"] == many.intervals["r_at_1"]


def test_nothing_but_hits_is_no_certainty() -> None:
    texts = np.eye(40, dtype=np.float32)
    right = r_precision(texts[:10][:, None], texts, np.arange(10)).intervals["r_at_1"]
    wrong = r_precision(texts[20:30][:, None], texts, np.arange(10)).intervals["r_at_1"]
    assert right is not None
    assert wrong is not None
    # Ten hits in ten: Clopper and Pearson's bound.
    assert (right.low, right.high) == pytest.approx((0.6915, 1), abs=1e-4)
    assert (wrong.low, wrong.high) == pytest.approx((0, 0.3085), abs=1e-4)


def test_the_same_seed_gives_the_same_interval() -> None:
    arguments = noise(40, 2, 8), noise(10, 8, seed=1), np.arange(40) % 10
    assert r_precision(*arguments) == r_precision(*arguments)
    assert r_precision(*arguments).intervals != r_precision(*arguments, seed=1).intervals


def _with(array: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    changed = array.copy()
    changed.flat[0] = value
    return changed


IMAGES, TEXTS, TRUTH = noise(4, 2, 8), noise(3, 8, seed=1), np.array([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("images", "texts", "truth", "message"),
    [
        (_with(IMAGES, np.nan), TEXTS, TRUTH, "images.*NaN"),
        (IMAGES, _with(TEXTS, np.inf), TRUTH, "texts.*infinity"),
        (IMAGES * 0, TEXTS, TRUTH, "length above 0"),
        (IMAGES[:0], TEXTS, TRUTH[:0], "images"),
        (IMAGES[:, 0], TEXTS, TRUTH, "views"),
        (IMAGES, TEXTS[:0], TRUTH, "texts"),
        (IMAGES, TEXTS[:, :5], TRUTH, "found 8, 5"),
        (IMAGES, TEXTS, TRUTH[:3], "expected 4 integers"),
        (IMAGES, TEXTS, TRUTH.astype(float), "integers"),
        (IMAGES, TEXTS, np.array([0, 1, 2, 3]), "own text in the pool"),
        (IMAGES, TEXTS, np.array([0, 1, 2, -1]), "own text in the pool"),
    ],
)
def test_what_is_no_score_is_refused(
    images: NDArray[np.float32], texts: NDArray[np.float32], truth: NDArray[np.int64], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        r_precision(images, texts, truth)


def test_other_options_are_refused() -> None:
    with pytest.raises(InputError, match="merge"):
        r_precision(IMAGES, TEXTS, TRUTH, merge="best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="resamples"):
        r_precision(IMAGES, TEXTS, TRUTH, resamples=1)


def test_captions_that_differ_in_writing_only_are_one() -> None:
    pool = text_pool(["A red car.", "a blue car", "a  red car ", "a red cart"])
    assert pool.texts == ("A red car.", "a blue car", "a red cart")
    assert pool.index.tolist() == [0, 1, 0, 2]
    for wrong in ([], ["a car", " . "]):
        with pytest.raises(InputError, match="captions"):
            text_pool(wrong)
