"""Captions from tables and file names, and brands as plain nouns."""

from __future__ import annotations

from pathlib import Path

import pytest

from enpointe.core.errors import InputError
from enpointe.data.caption_table import read_captions
from enpointe.data.plain_words import MAX_CAPTION, plain, words_of_path


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("A red Ferrari 458, parked", "A red sports car, parked"),
        ("an iPhone 12 on a table", "a smartphone on a table"),
        ("a Yamaha grand piano", "a grand piano"),
        ("a Yamaha", "a motorcycle"),
        ("IKEA chair", "chair"),
        ("a Toyota Corolla", "a car"),
        ("two Ferraris", "two sports cars"),
        ("A BMW car with red wheels", "A car with red wheels"),
        ("a blue Porsche 911 sports car", "a blue sports car"),
        ("a LEGO minifigure", "a minifigure"),
        ("a Jeep", "an off-road car"),
        ("a seat, an apple pie and a galaxy", "a seat, an apple pie and a galaxy"),
        ("a robot\nwith\x00  arms", "a robot with arms"),
    ],
)
def test_brands_become_plain_nouns(written: str, said: str) -> None:
    assert plain(written) == said


def test_long_captions_are_cut_between_words() -> None:
    said = plain("word " * 1000)
    assert len(said) <= MAX_CAPTION
    assert set(said.split()) == {"word"}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("furniture", "Wooden_Chair-02_lowpoly"), "wooden chair"),
        (("chair", "0001"), "chair"),
        (("TeapotModel",), "teapot"),
        (("bmw_x5",), "car"),
        (("chair", "model_normalized"), "chair"),
        (("🎁 box\n'\"x",), "box"),
        (("caf%C3%A9%20table",), "café table"),
        (("a8f3c9d2e1b04f5da8f3c9d2e1b04f5d",), ""),
        (("0a1b2c3d-1111-2222-3333-444444444444",), ""),
    ],
)
def test_file_names_become_words(parts: tuple[str, ...], words: str) -> None:
    assert words_of_path(parts) == words


def test_cap3ds_table_without_a_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Cap3D.csv"
    path.write_text('0a1b,"a wooden chair, with ""arms"""\n2c3d,a teapot\n0a1b,a brown seat\n', encoding="utf-8-sig")
    table = read_captions(path)
    assert len(table) == 2
    assert table.find("glbs/000/0a1b.glb").captions == ('a wooden chair, with "arms"', "a brown seat")
    assert table.find("other.glb").captions == ()


def test_json_lines_hold_one_caption_or_several(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text(
        '{"uid": "x/a.obj", "captions": ["one\u2028two", ""], "license": "CC0-1.0"}\n\n{"id": 7, "caption": "seven"}\n'
    )
    table = read_captions(path)
    assert table.find("x/a.obj").captions == ("one two",)
    assert table.find("x/a.obj").licence == "CC0-1.0"
    assert table.find("7.glb").captions == ("seven",)


def test_the_exactest_identifier_counts(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("file,text\nchair,any chair\nb/chair.obj,the chair in b\n")
    table = read_captions(path)
    assert table.find("b/chair.obj").captions == ("the chair in b",)
    assert table.find("a/chair.obj").captions == ("any chair",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "ending in .csv"),
        ("a.csv", b"only one column\n", "line 1: expected an identifier and a caption"),
        ("a.csv", b"id,caption\n,nobody\n", "line 2: expected an identifier"),
        ("a.csv", b'x,"never closed\n', "expected a row of CSV"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.jsonl", b"{}\n", "line 1: expected an object"),
        ("a.jsonl", b"nothing\n", "line 1: expected JSON"),
        ("a.jsonl", b'{"id": "a", "caption": 3}\n', "line 1: expected texts"),
        ("a.jsonl", b"[" * 100_000, "line 1: expected JSON"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_captions(tmp_path / name)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv"):
        read_captions(tmp_path / "gone.csv")
