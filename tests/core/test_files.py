"""Files that are whole or absent, places to write that are checked beforehand, and names for prompts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpointe.core.errors import OutputError
from enpointe.core.files import check_file, replacing, slug


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
@pytest.mark.slow
def test_slug_is_a_safe_name(prompt: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(prompt))
    assert len(slug(prompt)) <= 69


def test_slug_keeps_different_prompts_apart_where_letters_are_lost() -> None:
    prompts = ["一匹马", "一只狗", "马 1", "狗 1", "!", "car " * 30 + "a", "car " * 30 + "b", "z" * 100, "z" * 101]
    assert len({slug(prompt) for prompt in prompts}) == len(prompts)


def test_check_file_says_what_is_wrong(tmp_path: Path) -> None:
    assert check_file(tmp_path / "mesh.glb") == tmp_path / "mesh.glb"
    with pytest.raises(OutputError, match="got a folder"):
        check_file(tmp_path)
    with pytest.raises(OutputError, match="expected an existing folder"):
        check_file(tmp_path / "none" / "mesh.glb")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), replacing(tmp_path / "a") as file:
        os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
        file.write(bytes(100_000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"
