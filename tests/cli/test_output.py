"""Slugs, and result folders that appear whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpointe.cli.output import check_file, result_folder, slug
from enpointe.core.errors import OutputError


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a pink motorcycle", "a-pink-motorcycle"),
        ("  A  Pink, motorcycle!", "a-pink-motorcycle"),
        ("../../etc/passwd", "etc-passwd"),
        ("une chaise brûlée", "une-chaise-brulee"),
    ],
)
def test_slug_reads_like_the_prompt(prompt: str, expected: str) -> None:
    assert slug(prompt) == expected


@given(st.text(st.characters(), max_size=300))
def test_slug_is_a_safe_name(prompt: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(prompt))
    assert len(slug(prompt)) <= 69


def test_slug_keeps_different_prompts_apart_where_letters_are_lost() -> None:
    prompts = ["一匹马", "一只狗", "马 1", "狗 1", "!", "car " * 30 + "a", "car " * 30 + "b", "z" * 100, "z" * 101]
    assert len({slug(prompt) for prompt in prompts}) == len(prompts)


def fill(folder: Path, *names: str) -> None:
    for name in (*names, "meta.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps({"enpointe": "0", "name": name}))


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_new_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out" / "car-0"
    with result_folder(target, 0) as staging:
        fill(staging, "cloud.ply")
        assert not target.exists()
    assert tree(tmp_path) == {"out", "out/car-0", "out/car-0/cloud.ply", "out/car-0/meta.json"}
    assert target.stat().st_mode & 0o777 == (tmp_path / "out").stat().st_mode & 0o777


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), result_folder(tmp_path / "a" / "b" / "c", 0) as staging:
        fill(staging, "cloud.ply")
        raise error
    assert tree(tmp_path) == set()


def test_a_former_result_is_untouched_when_the_block_raises(tmp_path: Path) -> None:
    fill(tmp_path, "cloud.ply")
    with pytest.raises(ValueError, match="stop"), result_folder(tmp_path, 0) as staging:
        (staging / "cloud.ply").write_text("half")
        raise ValueError("stop")
    assert tree(tmp_path) == {"cloud.ply", "meta.json"}
    assert "half" not in (tmp_path / "cloud.ply").read_text()


def test_a_former_result_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    fill(tmp_path, "mesh.glb", "cloud.ply", "0/cloud.ply", "0/meta.json", "1/cloud.ply", "1/notes.txt", "1/meta.json")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "cloud.ply").write_text("a user's: no meta.json of ours beside it")
    (tmp_path / "notes.txt").write_text("a user's")
    with result_folder(tmp_path, 0) as staging:
        (staging / "cloud.ply").write_text("new")
        (staging / "meta.json").write_text("new")
    assert tree(tmp_path) == {"cloud.ply", "meta.json", "notes.txt", "1", "1/notes.txt", "2", "2/cloud.ply"}
    assert (tmp_path / "cloud.ply").read_text() == "new"


def test_numbered_results_replace_a_single_one(tmp_path: Path) -> None:
    fill(tmp_path, "cloud.ply")
    with result_folder(tmp_path, 0) as staging:
        fill(staging, "0/cloud.ply", "1/cloud.ply")
        (staging / "meta.json").unlink()
    assert tree(tmp_path) == {"0", "0/cloud.ply", "1", "1/cloud.ply"}


def test_a_folder_in_the_way_of_a_file_is_an_error_before_anything_moves(tmp_path: Path) -> None:
    (tmp_path / "cloud.ply").mkdir()
    with pytest.raises(OutputError, match="share a name"), result_folder(tmp_path, 0) as staging:
        fill(staging, "cloud.ply")
    assert tree(tmp_path) == {"cloud.ply"}


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_file_in_place_of_the_folder_is_an_error_before_the_block(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"got a file: .*file$"), result_folder(tmp_path / "file" / below, 0):
        pytest.fail("the block ran")
    assert tree(tmp_path) == {"file"}


def test_a_full_disk_is_an_error_before_the_block(tmp_path: Path) -> None:
    too_much = shutil.disk_usage(tmp_path).total * 2
    with pytest.raises(OutputError, match=r"expected at least \d+ MB free"), result_folder(tmp_path / "out", too_much):
        pytest.fail("the block ran")
    with pytest.raises(OutputError, match=r"expected at least \d+ MB free"):
        check_file(tmp_path / "mesh.glb", too_much)
    assert tree(tmp_path) == set()


def test_check_file_says_what_is_wrong(tmp_path: Path) -> None:
    assert check_file(tmp_path / "mesh.glb") == tmp_path / "mesh.glb"
    with pytest.raises(OutputError, match="got a folder"):
        check_file(tmp_path)
    with pytest.raises(OutputError, match="expected an existing folder"):
        check_file(tmp_path / "none" / "mesh.glb")
