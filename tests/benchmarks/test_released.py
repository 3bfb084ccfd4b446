"""Every stage is compared, on tiny networks, and the totals follow from the stages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.speed import Turns

from benchmarks import common, mesh_speed, random_weights, released, speed
from enpointe.checkpoints import structure
from enpointe.checkpoints.released import RELEASED
from enpointe.core.errors import InputError
from enpointe.nn.sdf import SDFConfig


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks under the released names, and no cache."""
    models = {
        name: replace(
            RELEASED[name],
            config=replace(RELEASED[name].config, width=32, layers=1, heads=2),
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
@pytest.mark.slow
def test_every_stage_is_compared() -> None:
    models = ["base40M-textvec", "base40M"]
    stages, totals, queries = released.measure(models, released.STAGES, Turns(1), full=True, grid_size=32)
    assert [(row["for"], row["stage"]) for row in stages] == [
        ("base40M-textvec", "base40M-textvec"), ("base40M-textvec", "upsample"),
        ("base40M", "base40M"), ("base40M", "upsample"), ("any", "mesh"),
    ]  # fmt: skip
    for row in stages:
        assert row["times"] == pytest.approx(row["reference"]["seconds"] / row["ran"])
        assert row["random_weights"] is True
    guided = stages[3]["reference"]
    assert guided["seconds"] == pytest.approx(127 * guided["seconds_each"])
    assert [total["target"] for total in totals] == [40, None, 60]
    for total in totals:
        assert total["times"] == pytest.approx(total["reference_seconds"] / total["seconds"])
    assert totals[0]["what"] == "text to 4,096 points"
    assert queries == {"torus": 5 * 32**2}


@pytest.mark.usefixtures("small")
def test_the_report_has_every_stage_and_its_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "limit_cores", lambda n: n)
    monkeypatch.setattr(sys, "argv", ["released", "--quick", "--results", str(tmp_path)])
    released.main()
    report = json.loads((tmp_path / "released.json").read_text())
    assert [row["what"] for row in report["tables"]["totals"]] == ["mesh"]
    assert report["targets"][0]["target"] == "mesh >= 60 times faster"


@pytest.mark.slow
def test_a_grid_that_one_batch_covers_is_refused() -> None:
    with pytest.raises(InputError, match="at least 32"):
        mesh_speed.compare_mesh(Turns(1), grid_size=16)
