"""The commands as a user meets them: real processes, with a fake pipeline where weights would be needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from PIL import Image

from enpointe.cli import main
from enpointe.core.errors import OutputError
from enpointe.data.pools import pool
from enpointe.geometry.point_cloud import PointCloud
from fake_pipeline import FakeLoad

SOURCE = Path(__file__).parents[2] / "src"
FAKE = Path(__file__).with_name("fake_enpointe.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
FILES = {"cloud.ply", "cloud.npz", "mesh.glb", "views.png", "view.html", "meta.json"}


def enpointe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FAKE), *arguments],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_fails(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("enpointe: error: ")
    for words in said:
        assert words in done.stderr


@pytest.mark.slow
def test_generate_writes_the_folder_and_says_where(tmp_path: Path) -> None:
    done = enpointe("generate", "a red ball", "--seed", "7", "--points", "256", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folder = Path("out", "a-red-ball-7")
    assert names(tmp_path / folder) == FILES
    assert str(folder / "view.html") in done.stdout
    meta = json.loads((tmp_path / folder / "meta.json").read_text())
    assert (meta["prompt"], meta["seed"], meta["mesh"]) == ("a red ball", 7, {"grid": 128})
    assert set(meta["seconds"]) == {"load", "cloud", "upsample", "mesh"}
    with np.load(tmp_path / folder / "cloud.npz") as release:
        assert release["coords"].shape == (256, 3)
        assert {"R", "G", "B"} <= set(release.files)


@pytest.mark.slow
def test_json_is_one_line_that_names_every_file(tmp_path: Path) -> None:
    done = enpointe("generate", "far", "--n", "2", "--no-mesh", "--points", "64", "--out", "d", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "enpointe: warning: nearest known nouns: ball\n"
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert said["warnings"] == ["nearest known nouns: ball"]
    assert json.loads((tmp_path / "d" / "0" / "meta.json").read_text())["warnings"] == said["warnings"]
    assert "<p>nearest known nouns: ball</p>" in (tmp_path / "d" / "1" / "view.html").read_text()
    assert [result["seed"] for result in said["results"]] == [0, 1]
    assert names(tmp_path / "d") == {"0", "1"}
    for result in said["results"]:
        assert set(result["files"]) == FILES - {"mesh.glb"}
        assert all((tmp_path / path).is_file() for path in result["files"].values())
    first, second = (PointCloud.load(tmp_path / "d" / i / "cloud.ply").points for i in "01")
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_interrupted_work_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, str(FAKE), "generate", "slow"]

    def heed_interrupts() -> None:  # whoever started the tests in the background may have it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "started\n"
        assert names(tmp_path) == {"out"}
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(timeout=20) == code
    assert rest == ("enpointe: interrupted\n" if code == 130 else "")
    assert names(tmp_path) == set()


@pytest.mark.slow
def test_a_pool_that_is_interrupted_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """It does not go on with the thousands of objects that its workers have been given already."""
    command = [sys.executable, "-m", "enpointe", "data", "build", "--out", "p.safetensors", "--workers", "1"]
    with subprocess.Popen([*command, "--clouds", "20000", "--points", "512"], cwd=tmp_path, env=ENVIRONMENT) as process:
        time.sleep(5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    assert names(tmp_path) == set()


@pytest.mark.slow
def test_errors_of_the_pipeline_become_one_line(tmp_path: Path) -> None:
    assert_fails(enpointe("generate", "x", "--points", "64", cwd=tmp_path), "no surface: expected the field")
    assert_fails(enpointe("generate", "x", "--device", "cuda", cwd=tmp_path), "expected a CUDA device")
    assert_fails(enpointe("generate", "x", "--model", "huge", cwd=tmp_path), "'huge'")
    assert names(tmp_path) == set()


def test_a_failing_write_becomes_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import enpointe
    from enpointe.io import sample_folder

    def full(_image: object, path: Path, **_: object) -> None:
        raise OutputError(f"{path}: no space left")

    monkeypatch.setitem(vars(enpointe), "load", FakeLoad())
    monkeypatch.setattr(sample_folder, "save_image", full)
    assert main(["generate", "x", "--no-mesh", "--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == f"enpointe: error: {tmp_path / 'new' / 'views.png'}: no space left\n"
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["destroy"], "'destroy'"),
        (["generate"], "PROMPT"),
        (["generate", " "], "got blank text"),
        (["generate", "a\x07"], "U+0007"),
        (["generate", "x" * 10_000], "got 10000"),
        (["generate", "x", "--n", "0"], "from 1 to 10000, got '0'"),
        (["generate", "x", "--n", "2.5"], "got '2.5'"),
        (["generate", "x", "--seed", "-1"], "got '-1'"),
        (["generate", "x", "--seed", str(2**53 - 1), "--n", "2"], "expected seeds up to"),
        (["generate", "x", "--points", "1000000000"], "--points"),
        (["generate", "x", "--steps", "0"], "--steps"),
        (["generate", "x", "--grid", "4"], "--grid"),
        (["generate", "x", "--guidance", "nan"], "--guidance"),
        (["generate", "x", "--guidance", "much"], "got 'much'"),
        (["generate", "x", "--device", "tpu"], "'tpu'"),
        (["generate", "x", "--out", ""], "--out"),
        (["generate", "x", "--out", "y" * 300], "File name too long"),
        (["mesh", "y" * 300 + ".ply"], "File name too long"),
        (["generate", "x", "--no-such"], "--no-such"),
        (["mesh", "none.ply"], "none.ply: expected an existing file"),
        (["mesh", "notes.txt"], "ending in .npz or .ply"),
        (["upsample", "none.npz", "--seed", "x"], "got 'x'"),
        (["view", "folder.ply"], "found something else"),
        (["train", "everything"], "'everything'"),
        (["train", "pocket-layout", "--minutes", "-5"], "--minutes"),
        (["train", "pocket-layout", "--data", "none"], "--data"),
        (["train", "pocket-layout", "--resume"], "--resume"),
        (["data", "show", "--out", "sheet.gif"], "sheet.gif"),
        (["data", "show", "--family", "dragon"], "'dragon'"),
        (["data", "show", "--data", "none"], "none: expected a pool"),
        (["data", "show", "--data", "none", "--family", "car"], "not allowed with"),
        (["data", "build", "--out", "data.safetensors", "--add", "kaykit=none"], "none: expected a folder of models"),
        (["data", "build", "--out", "data.safetensors", "--add", "folder"], "expected a folder with source 'folder'"),
        (
            ["data", "build", "--out", "data.safetensors", "--add", "attic=x"],
            "found 'attic'",
        ),
        (["data", "attribution", "none"], "none: expected a pool"),
        (["data", "build", "--out", "data.safetensors", "--add", "sweethome3d=none"], "none: expected .sh3f libraries"),
        (["data", "build", "--out", "data.bin"], "data.bin"),
        (["data", "build", "--out", "data.safetensors", "--points", "63"], "from 64 to 16384, got '63'"),
        (["data", "build", "--out", "data.safetensors", "--queries", "16385"], "from 16 to 16384, got '16385'"),
    ],
)
@pytest.mark.slow
def test_bad_arguments_are_one_line_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.ply").mkdir()
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert_fails(subprocess.CompletedProcess([], 2, streams.out, streams.err), said)
    assert names(tmp_path) == {"folder.ply"}


def test_data_build_makes_as_much_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    size = ["--clouds", "3", "--points", "64", "--queries", "16"]
    assert main(["data", "build", "--out", "pool.safetensors", *size, "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["clouds"], told["points"], told["queries"]) == (3, 64, 16)
    assert (told["models"], told["left_out"]) == (0, [])
    made = pool.read(tmp_path / "pool.safetensors")
    assert made.points.shape == (3, 64, 3)  # a tenth of three scenes is none
    assert made.sdf.shape == (3, 16)
    size[-1:] = ["16", "--scenes", "2"]
    assert main(["data", "build", "--out", "pool.safetensors", *size, "--workers", "1"]) == 0
    assert "pool.safetensors: 3 clouds, 2 scenes, 0.0 MB, in" in capsys.readouterr().out
    assert len(pool.read(tmp_path / "pool.safetensors").scenes) == 2


@pytest.mark.parametrize(
    ("size", "megabytes"),
    [([], 49), (["--clouds", "6000", "--scenes", "0", "--points", "1024", "--queries", "64"], 47)],
)
def test_data_build_wants_room_for_what_it_makes(
    size: list[str], megabytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=40e6))
    assert main(["data", "build", "--out", "pool.safetensors", *size]) == 2
    assert f"at least {megabytes} MB free" in capsys.readouterr().err


def test_real_models_among_the_data_are_built_named_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for pack, name in (("one", "crate"), ("two", "keg")):
        (tmp_path / pack / "pack").mkdir(parents=True)
        (tmp_path / pack / "pack" / f"{name}.glb").write_bytes(trimesh.creation.box().export(file_type="glb"))
    (tmp_path / "two" / "pack" / "mug.glb").write_bytes(b"glTF")
    (tmp_path / "two" / "captions.csv").write_text(
        "id,caption,licence,creator\npack/keg.glb,A keg of beer.,CC-BY-4.0,Ann\n"
    )
    size = ["--clouds", "3", "--points", "64", "--queries", "16", "--workers", "1", "--json"]
    assert (
        main(["data", "build", "--out", "pool.safetensors", *size, "--add", "kaykit=one", "--add", "folder=two"]) == 0
    )
    streams = capsys.readouterr()
    told = json.loads(streams.out)
    assert (told["clouds"], told["models"], len(told["left_out"])) == (3, 2, 1)
    assert streams.err.startswith("enpointe: warning: left out folder/pack/mug.glb: ")
    assert streams.err.count("\n") == 1
    assert [model.nouns[0] for model in pool.read(tmp_path / "pool.safetensors").models] == ["crate", "keg of beer"]

    assert main(["data", "attribution", "pool.safetensors", "--out", "whose.md"]) == 0
    assert capsys.readouterr().out == "wrote whose.md: 2 models of 2 creators\n"
    text = (tmp_path / "whose.md").read_text()
    assert "## two: CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/)\n\n- Ann: folder/pack/keg.glb\n" in text
    assert "kaykit/pack/crate" in text

    assert main(["data", "show", "--data", "pool.safetensors", "--out", "sheet.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": "sheet.png",
        "objects": 5,
        "models": 2,
        "shown": 5,
        "warnings": [],
    }
    with Image.open("sheet.png") as picture:
        assert picture.size == (6 * 200, 244)
        pictures = np.asarray(picture.convert("L"))[:200].reshape(200, 6, 200)
    assert ((pictures < 250).sum(axis=(0, 2)) > 100).tolist() == [True] * 5 + [False]


@pytest.mark.parametrize(("families", "counted"), [(["car"], "1 family"), (["car", "mug"], "2 families")])
def test_families_are_shown_and_counted(
    families: list[str], counted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["data", "show", *(word for name in families for word in ("--family", name))]) == 0
    assert capsys.readouterr().out == f"wrote {Path('out', 'data.png')}: {counted}\n"
    with Image.open(Path("out", "data.png")) as image:
        assert image.size == (6 * 200, 244 * len(families))


@pytest.mark.slow
def test_mesh_upsample_and_view_of_a_users_own_cloud(tmp_path: Path) -> None:
    made = np.random.default_rng(0).random((2, 200, 3), dtype=np.float32)
    PointCloud(made[0], made[1]).save(tmp_path / "own.npz")
    for arguments, expected in (
        (["mesh", "own.npz"], {"own-mesh.glb"}),
        (["upsample", "own.npz", "--points", "512", "--out", "dense.ply"], {"dense.ply"}),
        (["view", "own.npz"], {"own-view.html", "own-view.png"}),
        (["view", "own-mesh.glb", "--out", "m.html"], {"m.html", "m.png"}),
    ):
        before = names(tmp_path)
        done = enpointe(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert names(tmp_path) - before == expected
    assert len(PointCloud.load(tmp_path / "dense.ply")) == 512


@pytest.mark.slow
def test_a_wrong_cloud_is_one_line_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "bad.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 1000000000\nend_header\n")
    for command in ("mesh", "upsample", "view"):
        assert_fails(enpointe(command, "bad.ply", cwd=tmp_path), "bad.ply")
    assert names(tmp_path) == {"bad.ply"}
