"""CLIP R-Precision: how often an image of a sample goes best with the very text that it was generated from.

As in Dream Fields (arXiv 2112.01455, section 5.1), where one image a sample is retrieved, and Point-E
(arXiv 2212.08751, section 5). With several views a sample each is an image of its own here, so that the score is
what one view would give on average over the directions, with less chance in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.classifier_scores import CONFIDENCE, Interval

Merge = Literal["each", "mean"]
RESAMPLES = 1000
TOP = 5
CHUNK = 1 << 24
"""Cosines at hand at once: 64 MB."""


@dataclass(frozen=True)
class TextPool:
    """Different texts, and where captions are among them."""

    texts: tuple[str, ...]
    index: NDArray[np.int64]
    """(captions,)"""


@dataclass(frozen=True)
class SampleMatch:
    """How one sample fared.

    Attributes:
        rank: of its own text, by the mean cosine of its views; 1 is best, and equal cosines count against it.
        right, right_at_5: share of its queries with which its own text comes first, or among the first five.
        score: mean cosine with its own text, times 100.
        rival: index of the best of the other texts, None where there is none; `rival_score` is as `score`.
    """

    rank: int
    right: float
    right_at_5: float
    score: float
    rival: int | None
    rival_score: float | None


@dataclass(frozen=True)
class RPrecision:
    """The scores of a set of samples.

    Attributes:
        r_at_1, r_at_5: from 0 to 1; chance is 1 and 5 of `pool`.
        clip_score: mean cosine of images with their own text, times 100. Of one encoder only: encoders differ in
            how large their cosines are.
        intervals: of "r_at_1", "r_at_5" and "clip_score", over other prompts of the same kind; None where none was
            requested or all samples are of one prompt.
        samples, prompts: how many, and of how many different texts.
        pool: different texts that each image chose from.
        views: images a sample.
        per_sample: in the samples' order.
    """

    r_at_1: float
    r_at_5: float
    clip_score: float
    intervals: Mapping[str, Interval | None]
    samples: int
    prompts: int
    pool: int
    views: int
    merge: Merge
    per_sample: tuple[SampleMatch, ...]

    @property
    def chance(self) -> float:
        """R@1 of a model that ignores its prompts."""
        return 1 / self.pool

    @property
    def note(self) -> str | None:
        """A caveat of the values: None where the pool is large enough to mean something."""
        if self.pool == 1:
            return "R-Precision among one text is 1 whatever the samples are"
        if self.pool <= TOP:
            return f"R@{TOP} among {self.pool} texts is 1 whatever the samples are; R@1 by chance is {self.chance:.0%}"
        return None


def text_pool(captions: Sequence[str]) -> TextPool:
    """The different captions, each as it comes first; letter case, spacing and a final full stop make no difference.

    Raises:
        InputError: no caption, or a blank one.
    """
    places: dict[str, int] = {}
    texts: list[str] = []
    index = np.empty(len(captions), np.int64)
    for i, caption in enumerate(captions):
        plain = plain_text(caption)
        if not plain:
            raise InputError(f"captions: expected texts, number {i + 1} is blank")
        if plain not in places:
            places[plain] = len(texts)
            texts.append(caption)
        index[i] = places[plain]
    if not texts:
        raise InputError("captions: expected at least one, found none")
    return TextPool(tuple(texts), index)


def plain_text(caption: str) -> str:
    """A caption as it is compared with others."""
    return " ".join(caption.casefold().split()).removesuffix(".").rstrip()


def r_precision(
    images: NDArray[Any],
    texts: NDArray[Any],
    truth: NDArray[Any],
    *,
    merge: Merge = "each",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> RPrecision:
    """Score image features against text features of the same encoder; rows need not be of unit length.

    Args:
        images: (n, views, d).
        texts: (pool, d). Equal rows are one text; see `text_pool` for captions.
        truth: (n,) integers, the row of each sample's own text.
        merge: "each": every view is a query, a sample counts by the share of its views that are right; "mean": the
            mean cosine over a sample's views is the one query, an easier task.
        resamples: sets of prompts drawn for the intervals; 0 for none.
        seed: of these draws.

    Raises:
        InputError: no samples or texts, other shapes, an own text outside the pool, NaN, or a feature of length 0.
    """
    if merge not in get_args(Merge):
        raise InputError(f"merge: expected one of {', '.join(get_args(Merge))}, found {merge!r}")
    if resamples < 0 or resamples == 1:
        raise InputError(f"resamples: expected 0 or at least 2, found {resamples}")
    queries, pool = _unit_rows(images, "images", 3), _unit_rows(texts, "texts", 2)
    if queries.shape[2] != pool.shape[1]:
        raise InputError(
            f"features: expected as many for images as for texts, found {queries.shape[2]}, {pool.shape[1]}"
        )
    own = _own_texts(truth, len(queries), len(pool))
    # Equal texts are one: the first of them stands for all.
    _, first, group = np.unique(pool, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first)
    own = np.searchsorted(kept, first[group[own]])
    rows = max(1, CHUNK // (queries.shape[1] * len(kept)))
    per_sample: list[SampleMatch] = []
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        per_sample += _matches(queries[part] @ pool[kept].T, own[part], kept, merge)
    names = {"r_at_1": "right", "r_at_5": "right_at_5", "clip_score": "score"}
    values = {name: np.array([getattr(match, of) for match in per_sample]) for name, of in names.items()}
    _, prompt = np.unique(own, return_inverse=True)
    draws = _draws(int(prompt.max()) + 1, resamples, seed)
    intervals = {name: _interval(value, prompt, draws, share=name != "clip_score") for name, value in values.items()}
    r_at_1, r_at_5, clip_score = (float(value.mean()) for value in values.values())
    return RPrecision(
        r_at_1, r_at_5, clip_score, intervals, len(queries), int(prompt.max()) + 1, len(kept), queries.shape[1], merge,
        tuple(per_sample),
    )  # fmt: skip


def _unit_rows(features: NDArray[Any], name: str, axes: int) -> NDArray[np.float32]:
    array = np.asarray(features)
    if array.ndim != axes or 0 in array.shape or array.dtype.kind != "f":
        expected = "(n, views, d)" if axes == 3 else "(pool, d)"
        raise InputError(f"{name}: expected features {expected}, found {array.dtype} of shape {array.shape}")
    length = np.linalg.norm(array.astype(np.float64), axis=-1, keepdims=True)
    if not np.isfinite(length).all() or not length.all():
        raise InputError(f"{name}: expected finite features of a length above 0, found NaN, infinity or zeros")
    rows: NDArray[np.float32] = (array / length).astype(np.float32)
    return rows


def _own_texts(truth: NDArray[Any], samples: int, pool: int) -> NDArray[np.int64]:
    own = np.asarray(truth)
    if own.shape != (samples,) or own.dtype.kind not in "iu":
        raise InputError(f"truth: expected {samples} integers, found {own.dtype} of shape {own.shape}")
    if own.min() < 0 or own.max() >= pool:
        raise InputError(
            f"truth: expected each sample's own text in the pool, 0 to {pool - 1}, found {own.min()} to {own.max()}"
        )
    return own.astype(np.int64)


def _matches(
    cosines: NDArray[np.float32], own: NDArray[np.int64], kept: NDArray[np.int64], merge: Merge
) -> list[SampleMatch]:
    """Of samples with cosines (n, views, pool)."""
    mean = cosines.mean(axis=1)
    queries = cosines if merge == "each" else mean[:, None]
    before = _before(queries, own)
    right, right_at_5 = (before < 1).mean(axis=1), (before < TOP).mean(axis=1)
    rank = 1 + _before(mean[:, None], own)[:, 0]
    rows = np.arange(len(own))
    score = 100 * mean[rows, own].astype(np.float64)
    others = mean.astype(np.float64)
    others[rows, own] = -np.inf
    rival = others.argmax(axis=1)
    alone = mean.shape[1] == 1
    return [
        SampleMatch(
            int(rank[i]),
            float(right[i]),
            float(right_at_5[i]),
            float(score[i]),
            None if alone else int(kept[rival[i]]),
            None if alone else float(100 * others[i, rival[i]]),
        )
        for i in rows
    ]


def _before(queries: NDArray[np.float32], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many other texts go at least as well with each query (n, q, pool) as its own: (n, q)."""
    right = np.take_along_axis(queries, own[:, None, None], axis=2)
    before: NDArray[np.int64] = (queries >= right).sum(axis=2) - 1
    return before


def _draws(prompts: int, resamples: int, seed: int) -> NDArray[np.int64] | None:
    """(resamples, prompts): which prompts each resample is of; None where there are no intervals to be had."""
    if not resamples or prompts < 2:
        return None
    return np.random.default_rng(seed).integers(prompts, size=(resamples, prompts))


def _interval(
    values: NDArray[np.float64], prompt: NDArray[np.int64], draws: NDArray[np.int64] | None, *, share: bool
) -> Interval | None:
    """Of the samples' mean, over draws of prompts, each with all its samples."""
    if draws is None:
        return None
    value, prompts = float(values.mean()), draws.shape[1]
    counts, sums = np.bincount(prompt), np.bincount(prompt, values)
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = (float(edge) for edge in np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    if share and value in (0, 1):
        # Draws from nothing but hits are nothing but hits. What may be missed all the same, from the binomial (Clopper
        # and Pearson 1934).
        surely = float(((1 - CONFIDENCE) / 2) ** (1 / prompts))
        low, high = (surely, 1.0) if value == 1 else (0.0, 1 - surely)
    return Interval(min(low, value), max(high, value), float(means.mean()) - value)
