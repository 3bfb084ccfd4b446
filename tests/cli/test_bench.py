"""`enpointe bench`: what it compares gives the same numbers, and what it counts is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from enpointe.checkpoints import random_weights, structure
from enpointe.checkpoints.config import PointTransformerConfig, SDFConfig
from enpointe.checkpoints.random_weights import random_released
from enpointe.checkpoints.released import RELEASED
from enpointe.cli import main
from enpointe.evaluation import mesh_speed, speed
from enpointe.evaluation.reference import ReferencePoints, ReferenceSDF, plain_attention
from enpointe.evaluation.speed import Turns, evaluations, point_gflop
from enpointe.nn.point_transformer import PointTransformer
from enpointe.nn.sdf import SDFTransformer
from enpointe.pipelines.families.point_e.presets import PRESETS

SINGLE, HALF = 1e-5, 3e-2
SMALL = {
    "vector": PointTransformerConfig(width=64, layers=2, heads=4, vector=24, vector_as_token=True),
    "vector and time added": PointTransformerConfig(width=64, layers=2, heads=4, vector=24, time_as_token=False),
    "grid": PointTransformerConfig(width=64, layers=2, heads=4, grids=(("image", 40),)),
    "upsampler": PointTransformerConfig(
        width=64, layers=2, heads=4, grids=(("image", 40),), low_res=True, channel_scales=(2.0,) * 6
    ),
}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_reference_and_network_agree(name: str) -> None:
    torch.manual_seed(0)
    network = SMALL[name].build().eval()
    torch.nn.init.normal_(network.output_proj.weight, std=0.1)
    cond: dict[str, Any] = {"vector": torch.randn(2, 24)} if SMALL[name].vector else {}
    if SMALL[name].grids:
        cond["grids"] = {"image": torch.randn(2, 40, 9)}
    if SMALL[name].low_res:
        cond["low_res"] = torch.randn(2, 6, 11)
    x, t = torch.randn(2, 6, 13), torch.tensor([500.0, 3.0])
    expected = ReferencePoints(network)(x, t, **cond)
    assert relative(network(x, t, **cond), expected) < SINGLE
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative(network(x, t, prepared=network.prepare(2, **cond)), expected) < HALF


@torch.no_grad()
def test_reference_and_sdf_network_agree() -> None:
    torch.manual_seed(0)
    network = SDFTransformer(width=32, encoder_layers=2, encoder_heads=2, decoder_layers=2, decoder_heads=2).eval()
    points, queries = torch.rand(1, 3, 30) - 0.5, torch.rand(1, 3, 17) - 0.5
    plain = ReferenceSDF(network)
    expected = plain.decode(plain.encode(points), queries)
    assert relative(network(points, queries), expected) < SINGLE
    prepared = network.prepare(network.encode(points))
    assert relative(network.decode(prepared, queries), expected) < SINGLE


def test_reference_holds_all_attention_weights() -> None:
    """That is the way it is a yardstick for."""
    q = torch.randn(1, 128, 2, 16)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        plain_attention(q, q, q)
    assert max(event.cpu_memory_usage for event in profile.events()) >= 2 * 128 * 128 * 4


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


@pytest.mark.parametrize("shape", mesh_speed.SHAPES)
def test_shapes_are_signed_distances(shape: str) -> None:
    import numpy as np

    points = np.random.default_rng(0).uniform(-0.51, 0.51, (4000, 3)).astype(np.float32)
    field, step = mesh_speed.SHAPES[shape], 1e-3
    values = field(points)
    assert (values > 0).any()
    assert (values < 0).any()
    slopes = [
        (field(points + step * axis) - field(points - step * axis)) / (2 * step) for axis in np.eye(3, dtype=np.float32)
    ]
    slope = np.linalg.norm(slopes, axis=0)
    assert slope.max() < 1.001
    assert np.median(slope) == pytest.approx(1, abs=1e-3)  # less only where two sides are equally near


def test_random_weights_are_the_same_for_a_seed() -> None:
    one, other = (random_released("sdf", seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(one["output_proj.weight"], random_released("sdf", seed=4).state_dict()["output_proj.weight"])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks under the released names, and no cache."""
    models = {
        name: speed.replace(
            RELEASED[name],
            config=speed.replace(RELEASED[name].config, width=32, layers=1, heads=2),
            n_points=16,
        )
        for name in ("base40M-textvec", "base40M", "upsample")
    }
    sdf = SDFConfig(width=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2)
    builders: dict[str, Callable[[], Any]] = {name: model.config.build for name, model in models.items()}
    monkeypatch.setattr(structure, "BUILDERS", {**structure.BUILDERS, **builders, "sdf": sdf.build})
    monkeypatch.setattr(speed, "RELEASED", {**RELEASED, **models})
    monkeypatch.setattr(random_weights, "RELEASED", {**RELEASED, **models})
    monkeypatch.setattr(speed, "COARSE_POINTS", 8)
    monkeypatch.setattr(speed, "PRODUCT", 64)
    monkeypatch.setattr(mesh_speed, "CLOUD_POINTS", 64)
    monkeypatch.setattr(mesh_speed, "grid_queries", lambda grid_size, **_: {"torus": 5 * grid_size**2})


@pytest.mark.usefixtures("small")
def test_bench_compares_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--evaluations", "1", "--grid", "32", "--full", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["for"], row["stage"]) for row in found["stages"]] == [
        ("base40M-textvec", "base40M-textvec"), ("base40M-textvec", "upsample"),
        ("base40M", "base40M"), ("base40M", "upsample"), ("any", "mesh"),
    ]  # fmt: skip
    for row in found["stages"]:
        assert row["times"] == pytest.approx(row["reference"]["seconds"] / row["ran"])
        assert row["random_weights"] is True
    guided = found["stages"][3]["reference"]
    assert guided["seconds"] == pytest.approx(127 * guided["seconds_each"])
    assert [total["what"] for total in found["totals"]] == ["text to 4,096 points", "picture to 4,096 points", "mesh"]
    for total, target in zip(found["totals"], (40, None, 60), strict=True):
        assert total["times"] == pytest.approx(total["reference_seconds"] / total["seconds"])
        assert total["target"] == target
    assert found["queries"] == {"torus": 5 * 32**2}


@pytest.mark.usefixtures("small")
def test_bench_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--stages", "upsample", "--image-model", "none", "--evaluations", "1"]) == 0
    words = capsys.readouterr().out
    assert "upsample" in words
    assert "GFLOP/s in bfloat16" in words
    assert "random" in words
    assert "base40M" not in words


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "base40M"], "argument --model: expected one of base40M-textvec"),
        (["--model", "nothing-such"], "expected one of"),
        (["--image-model", "pocket"], "argument --image-model"),
        (["--stages", "base,lid"], "argument --stages: expected some of base, upsample, mesh"),
        (["--evaluations", "0"], "from 1 to 100"),
        (["--grid", "16", "--stages", "mesh"], "at least 32"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    assert main(["bench", *arguments]) == 2
    assert expected in capsys.readouterr().err
