"""Prompts of an evaluation: files good and bad, the fixed list, and what a prompt asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enpointe.core.errors import InputError
from enpointe.data.held_out import held_out
from enpointe.evaluation.prompts import Prompt, PromptList, Subject, embedded_prompts, read_prompts, subject_of


def written(folder: Path, text: str, name: str = "prompts.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_duplicates_and_blank_lines_are_noted(tmp_path: Path) -> None:
    found = read_prompts(written(tmp_path, "a red car\r\n\n  a red car \na dog\n \t\na dog\n"))
    assert [prompt.text for prompt in found.prompts] == ["a red car", "a dog"]
    assert found.source == "prompts.txt"
    assert found.notes == (
        "prompts.txt: 2 blank lines left out", "prompts.txt: 2 repeated prompts taken once",
    )  # fmt: skip


def test_json_lines_have_seeds(tmp_path: Path) -> None:
    lines = [{"prompt": "a car", "seed": 3}, {"prompt": "a car"}, {"prompt": "a car", "seed": 3}, {"prompt": "a dog"}]
    found = read_prompts(written(tmp_path, "\n".join(map(json.dumps, lines)), "p.jsonl"))
    assert found.prompts == (Prompt("a car", 3), Prompt("a car"), Prompt("a dog"))
    assert found.pool == ("a car", "a dog")
    assert found.first(None, 7) == [("a car", 3), ("a car", 7), ("a dog", 7)]


def test_ten_thousand_lines(tmp_path: Path) -> None:
    found = read_prompts(written(tmp_path, "\n".join(f"thing number {i}" for i in range(10_000))))
    assert len(found.prompts) == 10_000
    assert not found.notes


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("a car\n" + "long " * 500, "p.txt", "p.txt, line 2: prompt: expected at most 2000 characters"),
        ("a\x07b", "p.txt", "line 1: .*control characters"),
        ("", "p.txt", "expected at least one prompt, found none"),
        ("\n\n", "p.txt", "found 2 blank lines"),
        ("{", "p.jsonl", "line 1: expected JSON"),
        ('{"text": "a car"}', "p.jsonl", "line 1: expected an object with a text 'prompt'"),
        ('{"prompt": "a car", "seed": -1}', "p.jsonl", "line 1: expected a whole number"),
        ('{"prompt": "a car", "seed": true}', "p.jsonl", "line 1: expected a whole number"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompts(written(tmp_path, text, name))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found: No such file"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="expected prompts in UTF-8"):
        read_prompts(tmp_path / "latin")


def test_more_clouds_than_prompts_are_of_the_next_seeds() -> None:
    prompts = PromptList((Prompt("a"), Prompt("b", 5), Prompt("b", 6)), "test")
    assert prompts.first(2, 0) == [("a", 0), ("b", 5)]
    # The second round's ("b", 6) is there already: the round after it fills the place.
    assert prompts.first(6, 0) == [("a", 0), ("b", 5), ("b", 6), ("a", 1), ("b", 7), ("a", 2)]


def test_the_fixed_list_is_of_seen_and_held_out_pairs() -> None:
    prompts = embedded_prompts().prompts
    subjects = [subject_of(prompt.text) for prompt in prompts]
    assert len(prompts) == len({prompt.text for prompt in prompts}) == 68
    assert all(one is not None and one.color is not None for one in subjects)
    assert sum(one is not None and not one.seen for one in subjects) == 20
    beginning = [one for one in subjects[:24] if one is not None]
    assert len({one.noun for one in beginning}) == 24
    assert {one.seen for one in beginning} == {True, False}


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("a red car", Subject("car", "red")),
        ("A crimson automobile", Subject("car", "red")),
        ("a light blue light", Subject("lamp", "light blue")),
        ("an elephant", Subject("elephant", None)),
        ("a red car with blue wheels", None),
        ("a dragon", None),
        ("a very red car", None),
    ],
)
def test_the_subject_of_a_plain_prompt(text: str, subject: Subject | None) -> None:
    assert subject_of(text) == subject


def test_seen_is_what_training_captions_may_say() -> None:
    assert held_out("motorcycle", "pink")
    assert not Subject("motorcycle", "pink").seen
    assert Subject("motorcycle", "red").seen
    assert Subject("motorcycle", None).seen
