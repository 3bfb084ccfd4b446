"""The inception score: closed forms, zeros, the release's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from enpointe.core.errors import InputError
from enpointe.evaluation.measures.inception import inception_score, inception_scores

Read = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]


@pytest.mark.golden
def test_golden(golden: Read) -> None:
    tensors, _ = golden("fid_is")
    predictions = tensors["preds"].numpy()
    assert inception_score(predictions) == pytest.approx(float(tensors["inception_score"]), rel=1e-6)
    assert inception_score(predictions, 200) == pytest.approx(float(tensors["inception_score_split200"]), rel=1e-6)


def test_all_alike_is_one() -> None:
    assert inception_score(np.full((30, 40), 1 / 40, np.float32)) == pytest.approx(1, abs=1e-6)
    assert inception_score(np.eye(5)[[2] * 9]) == 1


def test_sure_and_balanced_is_the_number_of_classes() -> None:
    assert inception_score(np.tile(np.eye(7), (4, 1))) == pytest.approx(7, rel=1e-12)


def test_half_sure() -> None:
    """Two classes, each row (p, 1-p) or its mirror: exp(log 2 - entropy of p)."""
    p = np.array([0.2, 0.8])
    expected = 2 * np.exp((p * np.log(p)).sum())
    assert inception_score(np.array([p, p[::-1]])) == pytest.approx(expected, rel=1e-12)


def test_splits_count_equally() -> None:
    rows = np.concatenate([np.eye(3), np.eye(3)[[0]]])
    np.testing.assert_allclose(inception_scores(rows, 3), [3, 1])
    assert inception_score(rows, 3) == pytest.approx(2)


@pytest.mark.parametrize(
    "rows", [np.zeros((0, 3)), np.ones(3) / 3, np.array([[0.5, 0.6]]), np.array([[1.5, -0.5]]), np.array([[np.nan, 1]])]
)
def test_bad_input(rows: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        inception_score(rows)


def test_bad_split() -> None:
    with pytest.raises(InputError, match="split size"):
        inception_score(np.eye(2), 0)
