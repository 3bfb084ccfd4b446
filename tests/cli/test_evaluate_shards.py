"""`enpointe evaluate` on what `enpointe data build` makes: shards, damaged ones too, and pools."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.fake_build import CONFIG
from enpointe.cli import main
from enpointe.core.errors import DeviceError
from enpointe.data.build.build import build_shards
from enpointe.data.pools import pool
from enpointe.data.shards.reader import read_shards
from enpointe.data.sources.procedural import Procedural
from enpointe.evaluation.samples.open import open_samples
from enpointe.geometry.mesh import Mesh
from enpointe.render.renderers.rays import RayRenderer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here, for speed")
METRICS = "chamfer,f_score"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six procedural objects in three shards, of two assets each."""
    try:
        RayRenderer().close()
    except DeviceError as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("build") / "shards"
    build_shards(Procedural(6, seed=4), out, RayRenderer, CONFIG, per_shard=2, method="fork")
    return out


@pytest.fixture
def shards(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(built, tmp_path / "shards")


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    assert main(["evaluate", *arguments, "--out", "run", "--json"]) == 0
    streams = capsys.readouterr()
    return json.loads(streams.out), streams.err


def sizes(shards: Path) -> dict[str, int]:
    return {entry["name"]: entry["records"] for entry in json.loads((shards / "index.json").read_text())["shards"]}


def test_shards_against_themselves(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = list(read_shards(shards, shuffle=False))
    assert len(records) >= 4
    found, _ = evaluate(capsys, "--samples", "shards", "--reference", "shards", "--metrics", METRICS)
    assert found["counts"] == {
        "samples": len(records), "failures": 0, "meshes": 0, "reference": len(records), "reference_failures": 0,
    }  # fmt: skip
    assert found["f_score"] == 1
    assert found["chamfer_to_prompt"] == found["chamfer_mmd"] == 0
    rows = json.loads(Path("run/results.json").read_text())["samples"]
    assert [(row["name"], row["prompt"]) for row in rows] == [(one.key, one.captions[0]) for one in records]


def test_a_damaged_shard_is_named_and_its_records_are_counted(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held, total = sizes(shards), sum(sizes(shards).values())
    damaged, absent, whole = sorted(held)
    data = bytearray((shards / damaged).read_bytes())
    data[len(data) // 2] ^= 1
    (shards / damaged).write_bytes(data)
    (shards / absent).unlink()
    found, said = evaluate(capsys, "--samples", "shards", "--metrics", METRICS, "--reference", "shards")
    assert found["counts"]["samples"] == found["counts"]["reference"] == held[whole]
    assert found["counts"]["failures"] == found["counts"]["reference_failures"] == 2
    reasons = {failure["name"]: failure["reason"] for failure in found["failures"]}
    assert reasons[damaged].startswith(f"damaged, with {held[damaged]} records: expected SHA-256 ")
    assert reasons[absent].startswith(f"damaged, with {held[absent]} records: ")
    assert set(reasons) == {name for shard in (damaged, absent) for name in (shard, f"reference: {shard}")}
    assert f"2 failures; {total - held[whole]} of {total} samples are left out" in found["notes"]
    assert f"warning: {damaged}: damaged" in said
    assert damaged in Path("run/report.html").read_text()


def test_nothing_but_damage(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sizes(shards):
        (shards / name).write_bytes(b"")
    assert main(["evaluate", "--samples", "shards", "--metrics", "mesh"]) == 2
    assert "found none that can be read (shard-000000.tar: damaged" in capsys.readouterr().err
    (shards / "index.json").write_text("{}")
    assert main(["evaluate", "--samples", "shards", "--metrics", "mesh"]) == 2
    assert "expected format 'enpointe-shards'" in capsys.readouterr().err


def test_meshes_are_held_against_the_normals_of_shards(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = next(iter(read_shards(shards, shuffle=False)))
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    Path("made").mkdir()
    Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])).save("made/thing.obj")
    Path("made/captions.jsonl").write_text(json.dumps({"id": "thing", "caption": record.captions[0]}) + "\n")
    found, _ = evaluate(capsys, "--samples", "made", "--reference", "shards", "--metrics", "mesh,normal_consistency")
    assert 0.3 < found["normal_consistency"] < 1
    assert found["watertight"] == 1


def test_normals_of_records_are_unit_vectors(shards: Path) -> None:
    for sample in open_samples(str(shards)):
        assert sample.normals is not None
        assert np.linalg.norm(sample.normals, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_pool_and_shards(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool.build(tmp_path / "pool.safetensors", n_clouds=5, n_points=128, n_queries=8, workers=1)
    found, _ = evaluate(capsys, "--samples", "pool.safetensors", "--reference", "shards", "--metrics", "chamfer,emd",
                        "--limit", "3")  # fmt: skip
    assert found["counts"]["samples"] == found["counts"]["reference"] == 3
    assert 0 < found["chamfer_mmd"] < 1
    assert found["not_measured"] == {}
    found, _ = evaluate(capsys, "--samples", "pool.safetensors", "--reference", "pool.safetensors",
                        "--metrics", METRICS)  # fmt: skip
    assert found["f_score"] == 1
    whole = (tmp_path / "pool.safetensors").read_bytes()
    (tmp_path / "pool.safetensors").write_bytes(whole[: len(whole) // 2])
    assert main(["evaluate", "--samples", "pool.safetensors", "--metrics", "mesh"]) == 2
    assert "pool.safetensors" in capsys.readouterr().err
