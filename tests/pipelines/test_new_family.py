"""A model family is one folder: once registered it is loaded, listed, shown and generated with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import enpointe
from enpointe.checkpoints import registry
from enpointe.checkpoints.registry import MODELS, ModelSpec, register_model
from enpointe.cli import main
from enpointe.core.errors import InputError

SPHERES = """
from fake_pipeline import FakePipeline

class Spheres(FakePipeline):
    pass
"""


@pytest.fixture
def spheres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSpec]:
    """A family in a module of its own."""
    (tmp_path / "spheres_family.py").write_text(SPHERES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield register_model(
        ModelSpec(
            "spheres",
            "a text -> a sphere",
            pipeline="spheres_family:Spheres",
            inputs=("text",),
            stages=("base",),
            presets=("round", "rounder"),
            nouns=(("sphere", "ball"),),
        )
    )
    MODELS.unregister("spheres")


def test_from_python(spheres: ModelSpec) -> None:
    assert enpointe.models()["spheres"] is spheres
    pipeline = enpointe.load("spheres")
    assert (pipeline.name, pipeline.preset) == ("spheres", "round")
    assert enpointe.load("spheres", preset="rounder").info()["preset"] == "rounder"
    result = pipeline.generate("a ball", n_points=100, progress=False)
    assert (len(result.cloud), result.meta["model"]) == (100, "spheres")
    with pytest.raises(InputError, match="spheres draws from a text: expected no image"):
        pipeline.generate("a ball", image="ball.png")
    with pytest.raises(InputError, match="preset of spheres: expected one of round, rounder, found 'fast'"):
        enpointe.load("spheres", preset="fast")


def test_from_the_command_line(spheres: ModelSpec, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a ball", "--model", "spheres", "--points", "128", "--out", "ball", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []
    assert json.loads(Path("ball/meta.json").read_text())["model"] == "spheres"
    assert main(["models", "show", "spheres"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "presets round, rounder" in words
    assert "knows sphere" in words
    assert main(["models", "list"]) == 0
    assert "a text -> a sphere" in capsys.readouterr().out
    assert main(["generate", "a ball", "--model", "cubes"]) == 2
    assert "spheres" in capsys.readouterr().err


def test_one_name_is_one_model(spheres: ModelSpec) -> None:
    with pytest.raises(InputError, match="model: expected a name that is free, found a second 'spheres'"):
        register_model(ModelSpec("spheres", "another"))


def test_no_model_is_missing() -> None:
    """An entry that is lost, or comes, is noticed here."""
    assert list(registry.generators()) == [
        "pocket", "base40M-textvec", "base40M-imagevec", "base40M", "base300M", "base1B", "base40M-uncond",
    ]  # fmt: skip
    assert {spec.name for spec in registry.all_models()} - set(registry.generators()) == {
        "pocket-classifier", "pocket-joint", "upsample", "sdf", "pointnet",
    }  # fmt: skip
