"""`enpointe generate` with models that draw from texts, pictures or nothing; the pipeline is a fake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import enpointe
from enpointe.cli import generate, main
from enpointe.geometry.mesh import Mesh
from enpointe.pipelines.base import Request
from enpointe.pipelines.result import Result
from fake_pipeline import FakeLoad, ball


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeLoad:
    """In place of the real one, in a folder with two (empty) images and a weight file."""
    fake = FakeLoad()
    monkeypatch.setitem(vars(enpointe), "load", fake)
    monkeypatch.chdir(tmp_path)
    for name in ("chair.png", "A Car.jpg", "mine.pt"):
        (tmp_path / name).touch()
    return fake


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results without their images and pages."""

    def write(self: Result, folder: Path, *, mesh: bool | Mesh = True, grid_size: int = 128, **_: Any) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "meta.json").write_text(json.dumps({**self.meta, "title": self.title}))
        if mesh is True:
            self.mesh(grid_size)

    monkeypatch.setattr(Result, "write", write)


def seeds_of(load: FakeLoad) -> list[list[int]]:
    (pipeline,) = load.pipelines
    return [[request.seed for request in requests] for requests, _ in pipeline.calls]


def meta_in(folder: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((Path(folder) / "meta.json").read_text())
    return meta


def test_an_image_becomes_a_folder(load: FakeLoad, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--image", "A Car.jpg", "--model", "base300M", "--seed", "7", "--no-mesh"]) == 0
    assert "out/a-car-7" in capsys.readouterr().out
    ((requests, _),) = load.pipelines[0].calls
    assert requests == [Request(7, None, "A Car.jpg")]
    meta = meta_in("out/a-car-7")
    assert (meta["enpointe"], meta["model"], meta["image"]) == (enpointe.__version__, "base300M", "A Car.jpg")
    assert "prompt" not in meta
    assert "version" not in meta
    assert "<title>A Car.jpg" in Path("out/a-car-7/view.html").read_text()


def test_several_images_have_the_same_seeds(
    load: FakeLoad, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


def test_preset_weights_and_device_reach_the_model(load: FakeLoad, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    named = ["--model", "base40M-textvec", "--preset", "reference", "--weights", "mine.pt", "--device", "cpu"]
    named += ["--dtype", "float32"]
    assert main(["generate", "a dog", *named, "--grid", "16"]) == 0
    options = {"device": "cpu", "preset": "reference", "dtype": "float32", "weights": "mine.pt"}
    assert load.loaded == [("base40M-textvec", options)]
    assert load.pipelines[0].grids == [16]
    assert meta_in("out/a-dog-0")["prompt"] == "a dog"


def test_a_model_that_draws_from_nothing(load: FakeLoad, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    assert main(["generate", "--model", "base40M-uncond", "--n", "2", "--no-mesh"]) == 0
    assert seeds_of(load) == [[0, 1]]
    assert meta_in("out/base40m-uncond-0/1")["title"] == "base40M-uncond"


def test_a_mesh_by_the_released_network(load: FakeLoad) -> None:
    ball(100, 0).save("own.ply")
    assert main(["mesh", "own.ply", "--model", "base40M", "--preset", "reference"]) == 0
    options = {"device": "auto", "preset": "reference", "dtype": None, "weights": None}
    assert load.loaded == [("base40M", options)]


def test_many_samples_are_written_as_they_come(
    load: FakeLoad, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(generate, "AT_A_TIME", 3)
    monkeypatch.setattr(generate, "NAMED", 5)
    assert main(["generate", "a dog", "--n", "7", "--seed", "1", "--no-mesh", "--out", "dogs"]) == 0
    assert seeds_of(load) == [[1, 2, 3], [4, 5, 6], [7]]
    streams = capsys.readouterr()
    assert "7 samples: made and written 3 at a time" in streams.err
    assert f"to {Path('dogs', '0')} ... {Path('dogs', '6')}\n" in streams.out
    assert [meta_in(f"dogs/{i}")["seed"] for i in range(7)] == list(range(1, 8))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "chair.png"], "pocket draws from a text: expected no image"),
        (["a dog", "--image", "chair.png"], "pocket draws from a text: expected no image"),
        (["a dog", "--model", "base300M"], "base300M draws from an image: expected no text"),
        (["a dog", "--image", "chair.png", "--model", "base300M"], "expected no text"),
        (["--model", "base300M"], "got neither"),
        (["a dog", "--model", "base40M-uncond"], "base40M-uncond draws from nothing"),
        (["--image", "none.png", "--model", "base300M"], "--image: expected an existing file, got 'none.png'"),
        (["a dog", "--weights", "none.pt"], "--weights: expected an existing file"),
        (["a dog", "--preset", "best"], "preset of pocket: expected one of fast, found 'best'"),
        (["a dog", "--n", "10001"], "from 1 to 10000"),
        (["--image", "chair.png", "--image", "A Car.jpg", "--n", "5001", "--model", "base40M"], "got 10002"),
    ],
)
def test_what_does_not_fit_together(
    load: FakeLoad, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["generate", *arguments]) == 2
    streams = capsys.readouterr()
    assert said in streams.err
    assert (streams.out, streams.err.count("\n")) == ("", 1)
    assert load.pipelines == []
    assert not Path("out").exists()
