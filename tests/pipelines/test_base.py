"""What every pipeline does with its arguments, and what it gives; by a family that knows spheres only."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from enpointe.checkpoints.registry import MODELS
from enpointe.core.errors import InputError, MeshError, OutputError
from enpointe.core.progress import Progress
from enpointe.core.warnings import PromptWarning
from enpointe.geometry.mesh import Mesh
from enpointe.pipelines.base import Pipeline, Request
from enpointe.pipelines.result import Result
from fake_pipeline import FakePipeline


@pytest.fixture
def texts() -> FakePipeline:
    return FakePipeline(MODELS["pocket"])


@pytest.fixture
def images() -> FakePipeline:
    return FakePipeline(MODELS["base40M"])


@pytest.fixture
def nothing() -> FakePipeline:
    return FakePipeline(MODELS["base40M-uncond"])


# --- arguments


def test_one_input_is_one_result_and_a_list_is_a_list(texts: FakePipeline) -> None:
    one = texts.generate("a ball", progress=False)
    assert isinstance(one, Result)
    many = texts.generate(["a ball", "a box"], seed=5, progress=False)
    assert [(result.prompt, result.seed) for result in many] == [("a ball", 5), ("a box", 6)]
    assert texts.generate(("a ball",), seed=[9], progress=False)[0].seed == 9
    assert texts("a ball", progress=False).prompt == "a ball"


def test_images_and_seeds_alone(images: FakePipeline, nothing: FakePipeline, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "chair.png")
    with Image.open(tmp_path / "chair.png") as opened:
        a, b, c = images.generate(image=[tmp_path / "chair.png", str(tmp_path / "chair.png"), opened], progress=False)
    assert [result.image for result in (a, b, c)] == ["chair.png"] * 3
    assert images.generate(image=Image.new("RGB", (32, 32)), progress=False).image is None
    assert nothing.generate(progress=False).seed == 0
    assert [result.seed for result in nothing.generate(seed=range(3), progress=False)] == [0, 1, 2]  # type: ignore[call-overload]
    assert nothing.calls[-1][0] == [Request(0), Request(1), Request(2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": []}, "expected lists of one length, not empty, found 0 of prompt"),
        ({"prompt": ["a", "b"], "seed": [1]}, "found 2 of prompt, 1 of seed"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": ["a", "b"], "seed": 2**63 - 1}, "seed"),
        ({"prompt": "a", "n_points": 63}, "n_points"),
        ({"prompt": "a", "steps": 0}, "steps"),
        ({"prompt": "a", "guidance_scale": 101}, "guidance_scale"),
        ({"prompt": "a", "sampler": "euler"}, "sampler: expected one of heun, dpmpp, found 'euler'"),
        ({"prompt": " "}, "blank"),
        ({"prompt": 3}, "expected text"),
        ({}, "pocket draws from a text: expected one, found none"),
        ({"prompt": "a", "image": "chair.png"}, "pocket draws from a text: expected no image"),
    ],
)
def test_wrong_arguments_come_to_nothing(texts: FakePipeline, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts.generate(**arguments)
    assert texts.calls == []


def test_progress_is_reported(texts: FakePipeline) -> None:
    seen: list[Progress] = []
    texts.generate("a ball", progress=seen.append)
    assert seen == [Progress("cloud", 1, 2)]


# --- warnings


def test_a_warning_is_given_once_and_kept(texts: FakePipeline) -> None:
    with pytest.warns(PromptWarning) as caught:
        far, near, again = texts.generate(["far", "near", "far away"], progress=False)
    assert [str(one.message) for one in caught] == ["nearest known nouns: ball"]
    assert caught[0].filename == __file__
    assert far.warnings == again.warnings == ("nearest known nouns: ball",)
    assert near.warnings == ()
    assert (far.meta["warnings"], near.meta["warnings"]) == (["nearest known nouns: ball"], [])


def test_no_warning_where_there_is_none(texts: FakePipeline) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        texts.generate("a ball", progress=False)


# --- what it says of itself


def test_info_is_json_and_names_all(texts: FakePipeline) -> None:
    info = texts.info()
    assert json.loads(json.dumps(info)) == info
    assert info["settings"] == {"n_points": 4096, "steps": 2, "guidance_scale": 1.0, "sampler": "heun"}
    assert "car" in info["nouns"]
    assert repr(texts) == "FakePipeline('pocket', text -> cloud, preset fast, cpu, float32)"


def test_moving_to_another_device(texts: FakePipeline) -> None:
    assert texts.to("cpu") is texts
    assert texts.to(torch.device("meta")).device.type == "meta"
    with pytest.raises(InputError, match="device: expected one of"):
        texts.to("tpu")


def test_a_pipeline_without_its_parts_is_none() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Pipeline()  # type: ignore[abstract, call-arg]


# --- results


def test_a_result_prints_short_and_pickles_small(texts: FakePipeline) -> None:
    result = texts.generate("a ball", seed=3, n_points=1000, progress=False)
    assert repr(result).startswith("Result('a ball', seed 3, pocket, PointCloud(1,000 points")
    assert len(repr(result)) < 200
    data = pickle.dumps(result)
    assert len(data) < 40_000
    read: Result = pickle.loads(data)  # noqa: S301 - made here
    assert np.array_equal(read.cloud.points, result.cloud.points)
    assert (read.prompt, read.seed, read.meta) == ("a ball", 3, result.meta)
    with pytest.raises(InputError, match="without \\(pickling leaves it behind\\)"):
        read.mesh()
    assert isinstance(result.mesh(progress=False), Mesh)


def test_saving_writes_every_file_and_replaces_a_former_result(texts: FakePipeline, tmp_path: Path) -> None:
    folder = tmp_path / "ball"
    texts.generate("a ball", n_points=200, progress=False).save(folder, grid_size=32, progress=False)
    names = {path.name for path in folder.iterdir()}
    assert names == {"cloud.ply", "cloud.npz", "mesh.glb", "views.png", "view.html", "meta.json"}
    meta = json.loads((folder / "meta.json").read_text())
    assert (meta["prompt"], meta["seed"], meta["mesh"]) == ("a ball", 0, {"grid": 32})
    assert texts.grids == [32]
    (folder / "note.txt").write_text("mine")
    saved = texts.generate("a box", n_points=200, progress=False).save(folder, mesh=False)
    assert {path.name for path in folder.iterdir()} == (names - {"mesh.glb"}) | {"note.txt"}
    assert saved.meta()["prompt"] == "a box"
    assert len(saved.cloud()) == 200


def test_what_cannot_be_saved_leaves_nothing(texts: FakePipeline, tmp_path: Path) -> None:
    with pytest.raises(MeshError):
        texts.generate("a ball", n_points=64, progress=False).save(tmp_path / "ball", progress=False)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError):
        texts.generate("a ball", n_points=64, progress=False).save(tmp_path / "file" / "ball", mesh=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
