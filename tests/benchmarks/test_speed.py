"""What the comparison of speeds counts is right."""

from __future__ import annotations

import pytest
from benchmarks.speed import Turns, evaluations, point_gflop

from benchmarks import speed
from enpointe.nn.point_transformer import PointTransformer
from enpointe.pipelines.families.point_e.presets import PRESETS


def test_reference_takes_the_releases_evaluations() -> None:
    text, picture = PRESETS["base40M-textvec"]["reference"], PRESETS["base40M"]["reference"]
    assert evaluations("base40M-textvec", text) == {2: 127}
    assert evaluations("upsample", text) == {1: 127}
    assert evaluations("upsample", picture) == {2: 127}


def test_fast_takes_no_more_than_a_quarter() -> None:
    for name, presets in PRESETS.items():
        counts = evaluations(name, presets["fast"])
        assert sum(batch * count for batch, count in counts.items()) <= 2 * 127 / 4
    assert evaluations("base40M-textvec", PRESETS["base40M-textvec"]["fast"]) == {1: 6, 2: 6}  # as in docs/speed.md
    assert evaluations("upsample", PRESETS["base40M-textvec"]["fast"]) == {1: 7}


def test_gflop_of_one_layer() -> None:
    """Counted by hand: q, k, v, the projection, and two of four times the width; scores and their sums."""
    network = PointTransformer(width=8, layers=1, heads=2)
    tokens = 5
    products = 2 * tokens * 8 * (3 * 8 + 8 + 2 * 4 * 8) + 2 * 2 * tokens * tokens * 8
    assert point_gflop(network, tokens) == pytest.approx(products / 1e9)


def test_turns_take_the_least_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PRODUCT", 64)
    calls = []
    turns = Turns(3)
    seconds = turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, warm=("b",))
    assert calls == ["b", "a", "b", "a", "b", "a", "b"]
    assert set(seconds) == {"a", "b"}
    assert all(peak > 0 for peak in turns.peak.values())
