"""`enpointe evaluate`, with a pipeline, a classifier and an encoder that are quick; all between them is real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enpointe
from enpointe.checkpoints.registry import generator
from enpointe.cli import main
from enpointe.core.errors import MeshError, WeightsError
from enpointe.core.progress import ProgressCallback
from enpointe.evaluation.metrics import ordered, r_precision
from enpointe.evaluation.metrics.p_fid import PFID
from enpointe.evaluation.prompts import Subject, subject_of
from enpointe.evaluation.runner import runs, sweep, tools
from enpointe.evaluation.samples.procedural import procedural_object
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.base import Request, Settings
from enpointe.render.software.perspective import Images, RenderConfig
from evaluation.fakes import ColorEncoder, MeanRenderer, tiny_classifier
from fake_pipeline import FakePipeline, ball

CLASSES = ("car", "motorcycle", "mug", "dog")


class TruePipeline(FakePipeline):
    """Generates procedural objects; what it does not know becomes noise, and has no surface."""

    drawn: list[tuple[str, int]]
    stop_at: str | None = None
    """The prompt at which it is interrupted."""

    def __init__(self) -> None:
        super().__init__(generator("pocket"), batch=2)
        self.drawn = []

    def _prepare(self, requests: Sequence[Request], settings: Settings, report: ProgressCallback) -> None:
        if self.stop_at in [request.prompt for request in requests]:
            raise KeyboardInterrupt
        self.drawn += [(request.prompt or "", request.seed) for request in requests]

    def _cloud(self, request: Request, n_points: int) -> PointCloud:
        rng, subject = np.random.default_rng(request.seed), subject_of(request.prompt or "")
        if subject is None:
            return PointCloud(rng.random((65, 3), np.float32), rng.random((65, 3), np.float32))
        return procedural_object(subject, 64, rng)[0]

    def mesh(self, cloud: PointCloud, *, grid_size: int = 128, **options: Any) -> Mesh:
        if len(cloud) == 65:
            raise MeshError("no surface")
        return super().mesh(ball(100, 0), grid_size=grid_size)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TruePipeline:
    fake = TruePipeline()
    monkeypatch.setattr(tools, "load_classifier", lambda choice, device: tiny_classifier(*CLASSES))
    monkeypatch.setattr(tools, "load_encoder", lambda choice, device: ColorEncoder())
    monkeypatch.setitem(vars(enpointe), "load", lambda name, **_: fake)
    monkeypatch.setattr(PFID, "reference_clouds", 12)
    monkeypatch.setattr(r_precision, "CEILING", 3)
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("a red car\na pink motorcycle\na green mug\n")
    return fake


MODEL = ["evaluate", "--model", "pocket", "--prompts", "p.txt", "--points", "64", "--views", "1", "--out", "run"]


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def without_times(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "cost"}


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    return streams.err


def test_a_model(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MODEL, "--n", "4", "--json"]) == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)
    assert streams.out == json.dumps(found, sort_keys=True) + "\n"
    assert pipeline.drawn == [("a red car", 0), ("a pink motorcycle", 0), ("a green mug", 0), ("a red car", 1)]
    assert "3 clouds to go" in streams.err
    assert found["p_fid"] > 0
    assert found["p_is"] >= 1
    assert found["r_precision"] >= 0.75
    assert found["not_measured"] == {}
    assert found["counts"]["samples"] == found["counts"]["meshes"] == 4
    assert found["tools"]["classifier"]["quality"] == {"accuracy": 0.9}
    assert found["ceiling"]["r_precision"]["value"] > 0.5
    assert 0.5 < found["ceiling"]["normal_consistency"]["value"] < 1
    assert 0 < found["normal_consistency"] < 1
    assert "joint" in found["context"]["r_precision"]["why_not"]
    assert found["settings"]["sampling"]["evaluations"] == 3
    assert found["cost"]["seconds_per_cloud"]["cloud"] == 0.1
    assert {entry["group"]: entry["n"] for entry in found["groups"]["seen"]} == {"seen": 3, "held-out": 1}
    assert [entry["group"] for entry in found["groups"]["noun"]] == ["car", "motorcycle", "mug"]
    kept = json.loads(Path("run/results.json").read_text())
    assert [row["prompt"] for row in kept["samples"]] == [text for text, _ in pipeline.drawn]
    assert list(kept) == sorted(kept)
    page = Path("run/report.html").read_text()
    assert "a pink motorcycle" in page
    assert "data:image/png;base64" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


@pytest.mark.slow
def test_twice_the_same_numbers(pipeline: TruePipeline) -> None:
    assert main(MODEL) == 0
    first = json.loads(Path("run/results.json").read_text())
    assert main([*MODEL[:-1], "again"]) == 0
    second = json.loads(Path("again/results.json").read_text())
    assert without_times(first) == without_times(second)
    assert main([*MODEL[:-1], "other", "--seed", "1"]) == 0
    other = json.loads(Path("other/results.json").read_text())
    assert other["p_fid"] != first["p_fid"]


def test_a_run_goes_on(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "batch", 1)
    monkeypatch.setattr(pipeline, "stop_at", "a green mug")
    assert main(MODEL) == 130
    assert not Path("run/results.json").exists()
    monkeypatch.setattr(pipeline, "stop_at", None)
    pipeline.drawn.clear()
    capsys.readouterr()
    assert main(MODEL) == 0
    assert pipeline.drawn == [("a green mug", 0)]
    assert "2 of 3 clouds are in run already" in capsys.readouterr().err
    assert json.loads(Path("run/results.json").read_text())["counts"]["samples"] == 3


def test_a_folder_of_other_settings_is_refused(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MODEL, "--n", "1", "--metrics", "mesh"]) == 0
    pipeline.drawn.clear()
    capsys.readouterr()
    error = failed(capsys, *MODEL, "--steps", "4", "--metrics", "mesh")
    assert "steps: null" in error
    assert "found steps: 4" in error
    assert "--out" in error
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    assert "expected a folder of an earlier evaluation" in failed(capsys, *MODEL[:-1], "mine")
    assert not pipeline.drawn


def test_a_cloud_without_a_surface_is_a_failure(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.txt").write_text("a red car\na dragon\n")
    assert main([*MODEL, "--metrics", "mesh,r_precision", "--json"]) == 0
    found = printed(capsys)
    assert found["counts"] == {
        "samples": 2, "failures": 1, "meshes": 1, "reference": 4, "reference_failures": 0,
    }  # fmt: skip
    assert found["failures"][0]["name"].startswith("a-dragon-")
    assert "no closed surface" in found["failures"][0]["reason"]
    assert main(["evaluate", "--samples", "run/samples", "--metrics", "mesh", "--json"]) == 0
    again = printed(capsys)
    assert again["watertight"] == found["watertight"] == 1


@pytest.mark.slow
def test_samples_and_reference(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", rng.random((20, 80, 3), np.float32))
    np.savez(tmp_path / "b.npz", rng.random((30, 80, 3), np.float32) * (1, 1, 0.2))
    assert main(["evaluate", "--samples", "a.npz", "--reference", "b.npz", "--json"]) == 0
    found = printed(capsys)
    assert found["p_fid"] > 0
    assert found["r_precision"] is None
    assert found["not_measured"] == {
        "f_score": "no sample's prompt is known",
        "mesh": "no meshes",
        "named": "no sample's prompt is plainly of one of the 4 classes of pocket-classifier",
        "normal_consistency": "no meshes",
        "r_precision": "no sample's prompt is known",
    }
    assert found["chamfer_one_nna"] > 0.8
    assert main(["evaluate", "--samples", "a.npz", "--reference", "b.npz", "--limit", "9", "--json"]) == 0
    assert printed(capsys)["counts"]["samples"] == 9


def test_no_reference(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.random.default_rng(0).random((5, 64, 3), np.float32))
    assert main(["evaluate", "--samples", "a.npz", "--json"]) == 0
    found = printed(capsys)
    assert found["p_fid"] is None
    assert found["p_is"] >= 1
    assert {found["not_measured"][name] for name, metric in ordered().items() if "reference" in metric.needs} == {
        "no reference"
    }
    error = failed(capsys, "evaluate", "--samples", "a.npz", "--metrics", "p_is,p_fid")
    assert "expected a reference for p_fid, found none" in error


def test_one_class_only_and_few_samples_are_noted(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one = np.random.default_rng(0).random((1, 64, 3), np.float32)
    np.savez(tmp_path / "same.npz", np.repeat(one, 6, axis=0))
    np.savez(tmp_path / "b.npz", np.random.default_rng(1).random((30, 64, 3), np.float32))
    assert main(["evaluate", "--samples", "same.npz", "--reference", "b.npz", "--metrics", "p_fid,p_is"]) == 0
    out = capsys.readouterr().out
    assert "all 6 clouds were taken for the same class" in out
    assert "P-FID of 6 samples: at least 9 of each are needed" in out


def test_a_folder_with_broken_clouds(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "clouds"
    folder.mkdir()
    for i in range(3):
        procedural_object(Subject("car", None), 64, np.random.default_rng(i))[0].save(folder / f"{i}.ply")
    (folder / "bad.ply").write_bytes(b"no cloud")
    assert main(["evaluate", "--samples", "clouds", "--metrics", "p_is", "--json"]) == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)
    assert found["counts"] == {"samples": 3, "failures": 1, "meshes": 0}
    assert found["failures"][0]["name"] == "bad"
    assert "warning: bad: " in streams.err
    assert "bad" in Path("out/evaluate-clouds/report.html").read_text()
    for path in folder.glob("[0-9].ply"):
        path.write_bytes(b"")
    assert "found none that can be read (0: " in failed(capsys, "evaluate", "--samples", "clouds")


def test_without_networks_the_rest_is_measured(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(choice: str, device: str) -> Any:
        raise WeightsError("expected a file, found none")

    monkeypatch.setattr(tools, "load_classifier", missing)
    monkeypatch.setattr(tools, "load_encoder", missing)
    assert main([*MODEL, "--json"]) == 0
    found = printed(capsys)
    assert found["p_fid"] is found["p_is"] is found["r_precision"] is None
    assert found["f_score"] > 0
    assert "expected a file" in found["not_measured"]["p_is"]
    assert "expected a file" in failed(capsys, *MODEL, "--classifier", "pocket")
    assert "cannot: r_precision" in failed(capsys, *MODEL, "--metrics", "r_precision")


def test_without_blender_no_cloud_is_made(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENPOINTE_BLENDER", "no-such-blender")
    chosen = ["--renderer", "blender", "--images-of", "mesh"]
    assert "expected a program, found 'no-such-blender'" in failed(capsys, *MODEL, *chosen)
    assert not pipeline.drawn
    assert not Path("run").exists()
    np.savez(tmp_path / "a.npz", np.random.default_rng(0).random((5, 64, 3), np.float32))
    assert "found 'no-such-blender'" in failed(capsys, "evaluate", "--samples", "a.npz", *chosen)
    assert main(["evaluate", "--samples", "a.npz", "--metrics", "p_is", *chosen, "--json"]) == 0  # nothing to draw
    assert "renderer" not in printed(capsys)["tools"]


class PinkRenderer(MeanRenderer):
    """Everything is pink."""

    def images(self, shape: PointCloud | Mesh, config: RenderConfig) -> Images:
        return np.full((1, 8, 8, 3), (255, 128, 178), np.uint8)


@pytest.mark.slow
def test_the_renderer_is_named_and_told_from_others(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--metrics", "r_precision", "--json"]
    assert main([*MODEL, *options]) == 0
    own = printed(capsys)["tools"]["renderer"]
    assert (own["name"], own["images_of"], own["renders"]["views"]) == ("software", "cloud", 1)
    monkeypatch.setattr(tools, "open_renderer", lambda settings: PinkRenderer())
    assert main([*MODEL[:-1], "pink", *options]) == 0
    found = printed(capsys)
    assert found["tools"]["renderer"]["name"] == "blender 9"
    assert found["r_precision"] == pytest.approx(1 / 3)  # the motorcycle
    assert "blender 9" in Path("pink/report.html").read_text()
    assert main(["evaluate", "compare", "run", "pink", "--json"]) == 0
    compared = printed(capsys)
    assert "R-Precision by different renderers cannot be compared" in compared["notes"]
    assert [one["name"] for one in compared["settings"]] == ["renderer"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate"], "expected --model NAME, --samples PLACE, or compare A B; got none of them"),
        (["evaluate", "--model", "pocket", "--samples", "x"], "got both"),
        (["evaluate", "--model", "nothing"], "model: expected one of pocket"),
        (["evaluate", "--model", "base40M"], "draws from an image"),
        (["evaluate", "--samples", "none"], "expected a folder, shards, an .npz file of arr_0, or a pool; found none"),
        (["evaluate", "--samples", ".", "--n", "3"], "argument --n: expected only with --model"),
        (["evaluate", "--samples", ".", "--no-mesh"], "argument --mesh: expected only with --model"),
        (["evaluate", "--model", "pocket", "--renderer", "oven"], "--renderer: invalid choice: 'oven'"),
        (["evaluate", "--model", "pocket", "--metrics", "beauty"], "metrics: expected some of chamfer"),
        (["evaluate", "--model", "pocket", "--prompts", "none.txt"], "none.txt: expected a file of prompts"),
        (["evaluate", "compare", "a", "b"], "expected the results of a run"),
    ],
)
def test_wrong_arguments(
    pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    if "base40M" in arguments:
        pipeline.spec = generator("base40M")
    assert message in failed(capsys, *arguments)


@pytest.mark.slow
def test_sweep(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "POINTS", 64)
    monkeypatch.setattr(runs, "run_sweep", partial(sweep.run_sweep, samplers=("heun", "dpmpp"), evaluations=(3, 6)))
    assert main([*MODEL, "--sweep", "--metrics", "mesh", "--n", "2", "--json"]) == 0
    found = printed(capsys)
    assert [(one["sampler"], one["evaluations"], one["clouds"]) for one in found["sweep"]] == [
        ("heun", 3, 2), ("heun", 6, 2), ("dpmpp", 3, 2), ("dpmpp", 6, 2),
    ]  # fmt: skip
    assert all(one["p_fid"] > 0 and one["chamfer_to_prompt"] > 0 and "seconds" not in one for one in found["sweep"])
    assert set(found["cost"]["sweep_seconds_per_cloud"]) == {"heun 3", "heun 6", "dpmpp 3", "dpmpp 6"}
    assert "Quality against number of evaluations" in Path("run/report.html").read_text()


@pytest.mark.slow
def test_compare(pipeline: TruePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(MODEL) == 0
    assert main([*MODEL[:-1], "other", "--steps", "3"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "compare", "run", "other", "--json"]) == 0
    found = printed(capsys)
    assert found["pairs"] == 3
    assert {one["p"] for one in found["paired"]} == {1.0}  # the fake draws the same whatever the steps
    assert {one["verdict"] for one in found["paired"]} == {"no difference shown"}
    assert [one["name"] for one in found["settings"]] == ["sampling", "steps"]
    page = Path(found["page"]).read_text()
    assert "A/a-red-car" in page
    assert "B/a-red-car" in page
    Path("p.txt").write_text("a brown dog\n")
    assert main([*MODEL[:-1], "dogs"]) == 0
    capsys.readouterr()
    assert "with none in both" in failed(capsys, "evaluate", "compare", "run", "dogs/results.json")
