"""`enpointe generate` with models that draw from texts, pictures or nothing; the pipeline is a fake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enpointe
from enpointe.cli import generate, main
from enpointe.geometry.mesh import Mesh
from enpointe.geometry.point_cloud import PointCloud
from enpointe.pipelines.result import Result


class Pipeline:
    """Writes down what it is asked for; clouds are four points."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[dict[str, Any]] = []

    def load(self, name: str, **options: Any) -> Pipeline:
        self.loaded.append((name, options))
        return self

    def warnings_for(self, prompt: str) -> list[str]:
        return []

    def generate_many(self, prompts: Sequence[str], seeds: Sequence[int], **settings: Any) -> list[Result]:
        self.calls.append({"prompts": prompts, "seeds": seeds, **settings})
        cloud = PointCloud(np.eye(4, 3, dtype=np.float32), np.eye(4, 3, dtype=np.float32))
        pictures = settings["pictures"] or [None] * len(seeds)
        return [
            Result("", seed, cloud, {"model": "m", "picture": picture and Path(picture).name}, self)
            for seed, picture in zip(seeds, pictures, strict=True)
        ]

    def mesh(self, cloud: PointCloud, *, grid_size: int = 128, **_: Any) -> Mesh:
        self.calls.append({"grid_size": grid_size})
        return Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]), np.eye(3, dtype=np.float32))


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    """In place of the real one, in a folder with two (empty) pictures and a weight file."""
    fake = Pipeline()
    monkeypatch.setitem(vars(enpointe), "load", fake.load)
    monkeypatch.chdir(tmp_path)
    for name in ("chair.png", "A Car.jpg", "mine.pt"):
        (tmp_path / name).touch()
    return fake


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results without their pictures and pages."""

    def write(folder: Path, cloud: PointCloud, mesh: Mesh | None, meta: Mapping[str, Any], title: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "meta.json").write_text(json.dumps({**meta, "title": title}))

    monkeypatch.setattr(generate, "write_result", write)


def meta_in(folder: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((Path(folder) / "meta.json").read_text())
    return meta


def test_a_picture_becomes_a_folder(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--image", "A Car.jpg", "--model", "base300M", "--seed", "7", "--no-mesh"]) == 0
    assert "out/a-car-7" in capsys.readouterr().out
    (call,) = pipeline.calls
    assert (call["prompts"], call["seeds"], call["pictures"]) == ([], [7], ["A Car.jpg"])
    meta = meta_in("out/a-car-7")
    assert (meta["enpointe"], meta["model"], meta["picture"]) == (enpointe.__version__, "m", "A Car.jpg")
    assert "prompt" not in meta
    assert "version" not in meta
    assert "<title>A Car.jpg" in Path("out/a-car-7/view.html").read_text()


def test_several_pictures_have_the_same_seeds(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    images = ["--image", "chair.png", "--image", "A Car.jpg"]
    assert main(["generate", *images, "--model", "base40M", "--n", "2", "--seed", "3", "--no-mesh", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == "out/chair-and-1-more-3"
    assert [(one["image"], one["seed"]) for one in said["results"]] == [
        ("chair.png", 3), ("chair.png", 4), ("A Car.jpg", 3), ("A Car.jpg", 4),
    ]  # fmt: skip
    for i, one in enumerate(said["results"]):
        meta = meta_in(f"out/chair-and-1-more-3/{i}")
        assert (meta["seed"], meta["title"]) == (one["seed"], one["image"])


def test_preset_weights_and_device_reach_the_model(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    named = ["--model", "base40M-textvec", "--preset", "reference", "--weights", "mine.pt", "--device", "cpu"]
    assert main(["generate", "a dog", *named, "--grid", "16"]) == 0
    assert pipeline.loaded == [("base40M-textvec", {"device": "cpu", "preset": "reference", "weights": "mine.pt"})]
    assert pipeline.calls[1] == {"grid_size": 16}
    assert meta_in("out/a-dog-0")["prompt"] == "a dog"


def test_a_model_that_draws_from_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    assert main(["generate", "--model", "base40M-uncond", "--n", "2", "--no-mesh"]) == 0
    assert pipeline.calls[0]["seeds"] == [0, 1]
    assert meta_in("out/base40m-uncond-0/1")["title"] == "base40M-uncond"


def test_a_mesh_by_the_released_network(pipeline: Pipeline) -> None:
    PointCloud(np.eye(4, 3, dtype=np.float32), np.eye(4, 3, dtype=np.float32)).save("own.ply")
    assert main(["mesh", "own.ply", "--model", "base40M", "--preset", "reference"]) == 0
    assert pipeline.loaded == [("base40M", {"device": "auto", "preset": "reference", "weights": None})]


def test_many_samples_are_written_as_they_come(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(generate, "AT_A_TIME", 3)
    monkeypatch.setattr(generate, "NAMED", 5)
    assert main(["generate", "a dog", "--n", "7", "--seed", "1", "--no-mesh", "--out", "dogs"]) == 0
    assert [call["seeds"] for call in pipeline.calls] == [[1, 2, 3], [4, 5, 6], [7]]
    streams = capsys.readouterr()
    assert "7 samples: made and written 3 at a time" in streams.err
    assert f"to {Path('dogs', '0')} ... {Path('dogs', '6')}\n" in streams.out
    assert [meta_in(f"dogs/{i}")["seed"] for i in range(7)] == list(range(1, 8))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "chair.png"], "pocket draws from a text: expected no picture"),
        (["a dog", "--image", "chair.png"], "pocket draws from a text: expected no picture"),
        (["a dog", "--model", "base300M"], "base300M draws from a picture: expected no text"),
        (["a dog", "--image", "chair.png", "--model", "base300M"], "expected no text"),
        (["--model", "base300M"], "got neither"),
        (["a dog", "--model", "base40M-uncond"], "base40M-uncond draws from nothing"),
        (["--image", "none.png", "--model", "base300M"], "--image: expected an existing file, got 'none.png'"),
        (["a dog", "--weights", "none.pt"], "--weights: expected an existing file"),
        (["a dog", "--preset", "best"], "'best'"),
        (["a dog", "--n", "10001"], "from 1 to 10000"),
        (["--image", "chair.png", "--image", "A Car.jpg", "--n", "5001", "--model", "base40M"], "got 10002"),
    ],
)
def test_what_does_not_fit_together(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["generate", *arguments]) == 2
    streams = capsys.readouterr()
    assert said in streams.err
    assert (streams.out, streams.err.count("\n")) == ("", 1)
    assert pipeline.calls == []
    assert not Path("out").exists()
