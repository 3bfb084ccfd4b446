"""Paired tests: closed forms, exactness, and level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enpointe.core.errors import InputError
from enpointe.evaluation.report.compare import EXACT, compare, read_run, sign_flip_p


def run(scores: list[float], title: str = "x", **more: Any) -> dict[str, Any]:
    samples = [{"name": str(i), "prompt": f"thing {i}", "seed": 0, "f_score": value} for i, value in enumerate(scores)]
    return {"title": title, "samples": samples, "scores": [], "settings": {}, "tools": {}, "cost": {}, **more}


@pytest.mark.parametrize(
    ("differences", "p"),
    [([], 1), ([0, 0], 1), ([1], 1), ([1, 1, 1, 1, 1], 2 / 32), ([1, -1], 1), ([3, 1], 0.5), ([3, 1, 0], 0.5)],
)
def test_few_differences_by_hand(differences: list[float], p: float) -> None:
    assert sign_flip_p(differences) == pytest.approx(p)


def test_many_differences_are_near_the_exact_value() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, EXACT)
    exact = sign_flip_p(values)
    assert sign_flip_p(np.concatenate([values, [1e-9]])) == pytest.approx(exact, abs=0.015)
    assert sign_flip_p(np.ones(40)) == pytest.approx(1e-4, rel=0.01)


def test_level() -> None:
    """Without a difference about one in twenty tests finds one."""
    rng = np.random.default_rng(1)
    found = np.mean([sign_flip_p(rng.normal(size=10)) <= 0.05 for _ in range(400)])
    assert 0.02 < found < 0.09


def test_which_is_better() -> None:
    worse, better = [0.1, 0.2, 0.3, 0.2, 0.1, 0.4], [0.2, 0.4, 0.5, 0.5, 0.3, 0.5]
    (found,) = compare(run(worse), run(better))["paired"]
    assert (found["verdict"], found["wins"], found["losses"], found["n"]) == ("B is better", 6, 0, 6)
    assert found["p"] == pytest.approx(2 / 64)
    assert found["difference"] == pytest.approx(np.mean(better) - np.mean(worse))
    assert found["low"] < found["difference"] < found["high"]
    assert found["low"] > 0
    (found,) = compare(run(better), run(worse))["paired"]
    assert found["verdict"] == "A is better"


def test_what_cannot_be_compared_is_noted() -> None:
    a = run(
        [0.5, 0.5],
        tools={"classifier": {"name": "x", "sha256": "1"}, "reference": {"kind": "npz", "place": "one", "clouds": 2}},
    )
    b = run(
        [0.5, 0.5, 0.5],
        tools={"classifier": {"name": "x", "sha256": "2"}, "reference": {"kind": "npz", "place": "two", "clouds": 2}},
    )
    notes = " ".join(compare(a, b)["notes"])
    assert "2 pairs of prompt and seed are in both; A has 2, B 3" in notes
    assert "different classifiers" in notes
    assert "different references" in notes


def test_nothing_in_common() -> None:
    other = run([0.5])
    other["samples"][0]["seed"] = 9
    with pytest.raises(InputError, match="with none in both"):
        compare(run([0.5]), other)


def test_files_that_are_no_run(tmp_path: Any) -> None:
    for text in ("{", "[]", "{}", '{"format": "enpointe-evaluation", "samples": [], "version": 99}'):
        path = tmp_path / "results.json"
        path.write_text(text)
        with pytest.raises(InputError, match="expected"):
            read_run(str(tmp_path))
