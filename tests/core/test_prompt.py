from __future__ import annotations

import pytest

from enpointe.core.errors import InputError
from enpointe.core.prompt import MAX_CHARACTERS, check_prompt


@pytest.mark.parametrize(
    "prompt",
    ["a pink motorcycle", "une chaise bleue", "粉红色的摩托车", "розовый мотоцикл", "دراجة", "🏍️", "x" * MAX_CHARACTERS],
)
def test_any_script_passes_unchanged(prompt: str) -> None:
    assert check_prompt(prompt) == prompt


def test_surrounding_space_goes() -> None:
    assert check_prompt("  a red car\n") == "a red car"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "blank"),
        (" \t\n", "blank"),
        ("\u200b\u2060", "blank"),
        ("a\x00car", r"U\+0000 at position 1"),
        ("a car\x1b[31m", r"U\+001B at position 5"),
        ("a\ncar", r"U\+000A at position 1"),
        ("caf\udce9", "undecodable byte at position 3"),
        ("x" * 10_000, "at most 2000 characters, got 10000"),
    ],
)
def test_bad_prompts_say_what_came(prompt: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_prompt(prompt)
