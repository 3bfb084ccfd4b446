"""Names for prompts, and places to write that are checked beforehand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpointe.core.errors import OutputError
from enpointe.core.files import check_file, slug


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
