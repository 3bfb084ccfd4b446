"""Folders that appear whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from enpointe.core.errors import OutputError
from enpointe.core.files import check_file
from enpointe.core.folders import replacing_folder


def fill(folder: Path, *names: str) -> None:
    for name in (*names, "meta.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps({"enpointe": "0", "name": name}))


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_new_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out" / "car-0"
    with replacing_folder(target) as staging:
        fill(staging, "cloud.ply")
        assert not target.exists()
    assert tree(tmp_path) == {"out", "out/car-0", "out/car-0/cloud.ply", "out/car-0/meta.json"}
    assert target.stat().st_mode & 0o777 == (tmp_path / "out").stat().st_mode & 0o777


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), replacing_folder(tmp_path / "a" / "b" / "c") as staging:
        fill(staging, "cloud.ply")
        raise error
    assert tree(tmp_path) == set()


def test_a_former_result_is_untouched_when_the_block_raises(tmp_path: Path) -> None:
    fill(tmp_path, "cloud.ply")
    with pytest.raises(ValueError, match="stop"), replacing_folder(tmp_path) as staging:
        (staging / "cloud.ply").write_text("half")
        raise ValueError("stop")
    assert tree(tmp_path) == {"cloud.ply", "meta.json"}
    assert "half" not in (tmp_path / "cloud.ply").read_text()


def test_files_of_a_former_result_go_and_others_stay(tmp_path: Path) -> None:
    fill(tmp_path, "mesh.glb", "cloud.ply", "0/cloud.ply", "1/cloud.ply", "1/notes.txt")
    former = [tmp_path / name for name in ("mesh.glb", "0/cloud.ply", "1/cloud.ply", "meta.json")]
    with replacing_folder(tmp_path, former=lambda folder: former) as staging:
        fill(staging, "cloud.ply", "1/meta.json")
    assert tree(tmp_path) == {"cloud.ply", "meta.json", "1", "1/meta.json", "1/notes.txt"}
    assert (tmp_path / "cloud.ply").read_text() == json.dumps({"enpointe": "0", "name": "cloud.ply"})


def test_a_folder_in_the_way_of_a_file_is_an_error_before_anything_moves(tmp_path: Path) -> None:
    (tmp_path / "cloud.ply").mkdir()
    with pytest.raises(OutputError, match="share a name"), replacing_folder(tmp_path) as staging:
        fill(staging, "cloud.ply")
    assert tree(tmp_path) == {"cloud.ply"}


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_file_in_place_of_the_folder_is_an_error_before_the_block(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"got a file: .*file$"), replacing_folder(tmp_path / "file" / below):
        pytest.fail("the block ran")
    assert tree(tmp_path) == {"file"}


def test_a_full_disk_is_an_error_before_the_block(tmp_path: Path) -> None:
    too_much = shutil.disk_usage(tmp_path).total * 2
    with (
        pytest.raises(OutputError, match=r"expected at least \d+ MB free"),
        replacing_folder(tmp_path / "out", too_much),
    ):
        pytest.fail("the block ran")
    with pytest.raises(OutputError, match=r"expected at least \d+ MB free"):
        check_file(tmp_path / "mesh.glb", too_much)
    assert tree(tmp_path) == set()
