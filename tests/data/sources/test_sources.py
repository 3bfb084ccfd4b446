"""Folders of anybody's models: the good ones whole, each bad one with its reason, nothing outside read."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.hostile import Hostile, glb, make_hostile, matches, obj, png, tree
from data.loading import load, open_loader
from enpointe.core.errors import DeviceError, InputError
from enpointe.data.assets import Asset
from enpointe.data.attribution import attribution_text
from enpointe.data.build.workers import JobFailure, Limits, run_jobs
from enpointe.data.model_files import load_model
from enpointe.data.sources.folder import Folder
from enpointe.data.sources.procedural import Procedural
from enpointe.io.assets.limits import AssetLimits
from enpointe.io.assets.model import Model

_opened: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_watch)  # cannot be taken back; idle while nobody watches


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    return make_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def outcomes(hostile: Hostile) -> tuple[dict[str, Model | JobFailure], dict[str, list[str]], float]:
    """What became of every file, which files were opened meanwhile, and the seconds of the slowest."""
    global _opened
    found, opened, slowest = {}, {}, 0.0
    _opened = []
    assets = Folder().open(hostile.folder)
    listing, _opened = _opened, None
    for asset in assets:
        _opened, start = [], time.process_time()
        found[asset.key] = load(asset)
        opened[asset.key] = _opened + [path for path in listing if asset.key.split("/")[1] in Path(path).parts]
        slowest = max(slowest, time.process_time() - start)
        _opened = None
    return found, opened, slowest


@pytest.mark.slow
def test_every_hostile_file_has_its_reason_and_every_good_one_is_whole(
    hostile: Hostile, outcomes: tuple[dict[str, Model | JobFailure], Any, float]
) -> None:
    found, _, slowest = outcomes
    assert len(hostile.bad) >= 200
    assert set(found) == set(hostile.bad) | set(hostile.good)
    wrong = [
        (key, outcome.reason if isinstance(outcome, JobFailure) else "loaded")
        for key, outcome in found.items()
        if key in hostile.bad and not (isinstance(outcome, JobFailure) and matches(outcome.reason, hostile.bad[key]))
    ]
    assert wrong == []
    good = {key: found[key] for key in hostile.good}
    faces = {key: len(model.triangles) if isinstance(model, Model) else model for key, model in good.items()}
    assert faces == hostile.good
    assert slowest < 5


@pytest.mark.slow
def test_good_files_among_hostile_ones_keep_their_colours(
    hostile: Hostile, outcomes: tuple[dict[str, Model | JobFailure], Any, float]
) -> None:
    red = 0
    for key in hostile.good:
        model = outcomes[0][key]
        assert isinstance(model, Model)
        np.testing.assert_allclose(np.abs(model.triangles).max(), 0.5, atol=1e-12)
        textures = [m.texture for m in model.materials if m.texture is not None]
        for texture in textures:
            assert (texture == (200, 30, 30, 255)).all()
        red += bool(textures)
    assert red >= 13  # all but PLY, STL and one OBJ without materials


@pytest.mark.slow
def test_nothing_outside_an_assets_own_folder_is_opened(
    hostile: Hostile, outcomes: tuple[Any, dict[str, list[str]], float]
) -> None:
    opened = outcomes[1]
    assert sum(map(len, opened.values())) > 100
    for key, paths in opened.items():
        own = str(hostile.folder.resolve() / key.split("/")[1]) + os.sep
        strange = [p for p in paths if not os.path.realpath(p).startswith(own) and not p.endswith((".py", ".pyc"))]
        assert strange == [], key


def test_reasons_are_one_line_of_modest_length(hostile: Hostile, outcomes: tuple[Any, Any, float]) -> None:
    reasons = [outcome.reason for outcome in outcomes[0].values() if isinstance(outcome, JobFailure)]
    assert max(map(len, reasons)) < 6000
    assert all("Traceback" not in reason for reason in reasons)


def test_linked_folders_and_hidden_files_are_not_gone_into(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.obj").write_bytes(obj())
    (tmp_path / "in" / "._a.obj").write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.obj").write_bytes(obj())
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    assert [asset.key for asset in Folder().open(tmp_path / "in")] == ["folder/a.obj"]


def shapenet(root: Path, texture: str) -> Path:
    """An object as ShapeNet lays it out, whose material wears `texture`."""
    (root / "a" / "models").mkdir(parents=True)
    (root / "a" / "images").mkdir()
    (root / "a" / "models" / "model.obj").write_bytes(obj(mtl="m.mtl"))
    (root / "a" / "models" / "m.mtl").write_text(f"newmtl skin\nmap_Kd {texture}\n")
    for place in (root.parent, root, root / "a", root / "a" / "images", root / "a" / "models"):
        (place / "skin.png").write_bytes(png())
    return root


@pytest.mark.parametrize("texture", ["../images/skin.png", "..\\images\\skin.png", "../skin.png", "skin.png"])
def test_textures_may_lie_beside_a_folder_of_models(tmp_path: Path, texture: str) -> None:
    (asset,) = Folder().open(shapenet(tmp_path / "all", texture))
    assert any(worn.texture is not None for worn in asset.load().materials)


@pytest.mark.parametrize(
    "texture", ["../../skin.png", "../../../skin.png", "../../../../../etc/passwd", "../images/../../skin.png"]
)
def test_but_not_beside_the_object_that_the_models_are_of(tmp_path: Path, texture: str) -> None:
    (asset,) = Folder().open(shapenet(tmp_path / "all", texture))
    with pytest.raises(InputError, match="outside"):
        asset.load()


def test_nor_outside_the_folder_that_was_named(tmp_path: Path) -> None:
    (asset,) = Folder().open(shapenet(tmp_path / "all", "../images/skin.png") / "a" / "models")
    with pytest.raises(InputError, match="outside"):
        asset.load()


def test_nor_through_a_link(tmp_path: Path) -> None:
    root = shapenet(tmp_path / "all", "../images/skin.png")
    (root / "a" / "images" / "skin.png").unlink()
    (root / "a" / "images" / "skin.png").symlink_to(root / "skin.png")
    (asset,) = Folder().open(root)
    with pytest.raises(InputError, match="outside"):
        asset.load()


# Limits


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (AssetLimits(bytes=500), "at most"),
        (AssetLimits(faces=1), "at most 1 triangles, found 2"),
        (AssetLimits(pixels=3), "at most 3 pixels, found 2 x 2"),
    ],
)
def test_each_limit_is_kept(tmp_path: Path, limits: AssetLimits, reason: str) -> None:
    (tmp_path / "a.glb").write_bytes(glb())
    assert len(load_model(tmp_path / "a.glb").triangles) == 2
    with pytest.raises(InputError, match=reason):
        load_model(tmp_path / "a.glb", limits)


def test_the_limit_of_bytes_counts_all_files_together(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_bytes(obj(mtl="m"))
    (tmp_path / "m").write_bytes(b"newmtl skin\nmap_Kd a.png\n")
    (tmp_path / "a.png").write_bytes(png((50, 50)))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    load_model(tmp_path / "a.obj", AssetLimits(bytes=total))
    with pytest.raises(InputError, match=r"a\.png.*at most"):
        load_model(tmp_path / "a.obj", AssetLimits(bytes=total - 1))


def test_textures_are_shrunk(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(glb(skin=png((300, 100))))
    texture = load_model(tmp_path / "a.glb", AssetLimits(texture_side=60)).materials[-1].texture
    assert texture is not None
    assert texture.shape == (20, 60, 4)


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="expected faces above 0"):
        AssetLimits(faces=0)


@pytest.mark.slow
def test_only_the_asset_at_fault_is_lost(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.glb").write_bytes(glb())
    good = Folder().open(tmp_path)
    words: dict[str, Any] = {
        "name": "",
        "nouns": (),
        "tags": (),
        "category": "",
        "licence": "",
        "creator": "",
        "source": "",
    }
    loads: dict[str, Any] = {"stalls": partial(time.sleep, 60), "crashes": os.abort, "eats": partial(np.ones, 1 << 30)}
    bad = [Asset(key=key, load=load, **words) for key, load in loads.items()]
    assets = [bad[0], good[0], bad[1], good[1], bad[2], good[2]]
    limits = Limits(seconds=1.5, memory=2 << 30, retries=0)
    found = {asset.key: outcome for asset, outcome in run_jobs(assets, open_loader, workers=1, limits=limits)}
    assert len(found) == 6
    for asset in good:
        model = found[asset.key]
        assert isinstance(model, Model)
        assert len(model.triangles) == 2
    reasons = [found[asset.key].reason for asset in bad]  # type: ignore[union-attr]
    assert "longer than 1.5 seconds" in reasons[0]
    assert "SIGABRT" in reasons[1]
    assert "memory" in reasons[2]


# Formats that Blender reads


@pytest.mark.parametrize("name", ["a.fbx", "a.dae"])
def test_without_blender_only_the_asset_that_needs_it_fails(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"something")
    (tmp_path / "b.obj").write_bytes(obj())

    def none(path: Path, **_: Any) -> Model:
        raise DeviceError("expected Blender, found none")

    monkeypatch.setattr("enpointe.render.blender.import_files.read_with_blender", none)
    first, second = map(load, Folder().open(tmp_path))
    assert first == JobFailure(f"'{name}': expected Blender, found none")
    assert isinstance(second, Model)


@pytest.mark.parametrize("target", ["../secret.fbx", "/dev/zero"])
def test_blender_is_never_given_a_file_from_outside(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enpointe.render.blender.import_files.read_with_blender", None)
    (tmp_path / "secret.fbx").write_bytes(b"something")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fbx").symlink_to(target)
    with pytest.raises(InputError, match="outside"):
        load_model(tmp_path / "in" / "a.fbx")


# Words and attribution


def test_a_folder_says_its_files_names_or_its_own(tmp_path: Path) -> None:
    for name in ("Wooden_Chair-02.obj", "lamp/0001.obj", "0002.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(obj())
    found = {asset.key: (asset.name, asset.nouns, asset.category) for asset in Folder().open(tmp_path)}
    assert found == {
        "folder/0002.obj": ("", (), "unknown"),
        "folder/Wooden_Chair-02.obj": ("wooden chair", ("wooden chair",), "unknown"),
        "folder/lamp/0001.obj": ("lamp", ("lamp",), "lamp"),
    }


@pytest.mark.parametrize("name", ["captions.csv", "captions.jsonl"])
def test_a_table_in_the_folder_is_found_by_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.obj").write_bytes(obj())
    row = (
        "id,caption\na.obj,a small thing\n" if name.endswith("csv") else '{"id": "a.obj", "caption": "a small thing"}\n'
    )
    (tmp_path / name).write_text(row)
    (asset,) = Folder().open(tmp_path)
    assert asset.captions == ("a small thing",)
    (tmp_path / "other.csv").write_text("id,caption\na.obj,another\n")
    (asset,) = Folder(captions=tmp_path / "other.csv").open(tmp_path)
    assert asset.captions == ("another",)


def test_captions_licence_and_creator_come_from_the_table(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("a.obj", "b.obj"):
        (models / name).write_bytes(obj())
    table = tmp_path / "captions.csv"
    table.write_text("id,caption,author,license\na,a red Ferrari,Ann,CC-BY-4.0\nother,nothing,,\n")
    first, second = Folder(captions=table, licence="CC0-1.0", creator="Bob").open(models)
    assert (first.name, first.captions, first.licence, first.creator) == (
        "a red sports car", ("a red sports car",), "CC-BY-4.0", "Ann",
    )  # fmt: skip
    assert (second.captions, second.licence, second.creator, second.source) == ((), "CC0-1.0", "Bob", "models")
    text = attribution_text([second, first])
    assert text == attribution_text([first, second])
    assert "## models: CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/)\n\n- Ann: folder/a.obj" in text


def test_a_gltf_file_says_whose_it_is(tmp_path: Path) -> None:
    words = {"author": "Ann (https://a.example)", "license": "CC-BY-4.0 (http://c.example)", "title": "Audi\nTT"}
    made = tree(asset={"version": "2.0", "extras": words})
    (tmp_path / "a.gltf").write_text(json.dumps(made))
    (tmp_path / "b.glb").write_bytes(glb(asset={"version": "2.0", "copyright": "2020 Bob", "extras": [7]}))
    first, second = Folder(licence="CC0-1.0").open(tmp_path)
    assert (first.licence, first.creator, first.captions) == ("CC-BY-4.0", "Ann (https://a.example)", ("car",))
    assert (second.licence, second.creator, second.captions) == ("CC0-1.0", "2020 Bob", ())
    (tmp_path / "t.csv").write_text("id,caption,author\na,a thing,Zoe\n")
    first, _ = Folder(captions=tmp_path / "t.csv").open(tmp_path)
    assert (first.licence, first.creator, first.captions) == ("CC-BY-4.0", "Zoe", ("a thing",))


def test_names_cannot_forge_lines_of_the_attribution(tmp_path: Path) -> None:
    (tmp_path / "a\n## Mine: MIT.obj").write_bytes(obj())
    assert "\n## Mine" not in attribution_text(Folder().open(tmp_path))


# Sources


@pytest.mark.slow
def test_procedural_objects_are_the_same_each_time_and_wear_their_captions() -> None:
    source = Procedural(150, seed=3)
    assets = list(source)
    assert len({asset.key for asset in assets}) == len(source) == 150
    assert len({asset.name for asset in assets}) == 93
    for asset in (assets[0], assets[60], assets[-1]):
        again = pickle.loads(pickle.dumps(asset))  # noqa: S301 - our own
        first, second = asset.load(), again.load()
        assert first.triangles.tobytes() == second.triangles.tobytes()
        assert first.normalized().triangles.shape == (len(first.material), 3, 3)
        assert first.material.max() < len(first.materials)
        assert len(asset.captions[0]) > 3
    assert [a.captions for a in Procedural(3, seed=3)] == [a.captions for a in assets[:3]]
    assert [a.captions for a in Procedural(93, seed=4)] != [a.captions for a in assets[:93]]
