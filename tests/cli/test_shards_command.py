"""`enpointe data build --source`, `check` and `show SHARDS`, as a user meets them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from enpointe.cli import main
from enpointe.core.errors import DeviceError
from enpointe.data.shards.reader import read_shards
from enpointe.render.renderers.raster import RasterRenderer

SOURCE = Path(__file__).parents[2] / "src"
SMALL = ("--size", "32", "--views", "4", "--points", "64", "--seed", "3")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three procedural objects, built by a process of its own that starts workers as it does for users."""
    try:
        RasterRenderer().close()
    except DeviceError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("command")
    done = subprocess.run(
        [sys.executable, "-m", "enpointe", "data", "build", "--source", "procedural", "--limit", "3", *SMALL,
         "--out", "shards", "--workers", "2", "--buckets", "2", "--json"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    machine = json.loads(done.stdout)
    assert (machine["listed"], machine["kept"], machine["failed"]) == (3, 3, 0)
    return folder / "shards"


@pytest.mark.slow
def test_build_leaves_shards_lists_and_buckets(shards: Path) -> None:
    assert {path.name for path in shards.iterdir()} == {
        "shard-000000.tar", "index.json", "failures.jsonl", "dropped.jsonl", "ATTRIBUTION.md", "buckets.csv",
        "buckets.json",
    }  # fmt: skip
    records = list(read_shards(shards))
    assert len(records) == 3
    assert all(len(record.views) == 4 and len(record.points) == 64 for record in records)
    assert all(record.captions and record.licence == "MIT" for record in records)


@pytest.mark.slow
def test_check_says_what_is_there(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(shards)]) == 0
    out = capsys.readouterr().out
    assert out == f"{shards}: 3 records are whole, with 12 images and 192 points; licences: 3 MIT\n"
    assert main(["data", "check", str(shards), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licences"] == {"MIT": 3}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shard-000000.tar", "expected SHA-256"),
        ("ATTRIBUTION.md", "ATTRIBUTION.md: expected SHA-256"),
        ("index.json", "expected an index of shards"),
    ],
)
@pytest.mark.slow
def test_check_reports_damage(shards: Path, capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    whole = (shards / name).read_bytes()
    try:
        damaged = (
            whole.replace(b'"shards":[', b'"shards":[1,')
            if name == "index.json"
            else whole[:-2000] + b"?" + whole[-1999:]
        )
        (shards / name).write_bytes(damaged)
        assert main(["data", "check", str(shards)]) == 2
    finally:
        (shards / name).write_bytes(whole)
    found = capsys.readouterr()
    assert found.out == ""
    assert said in found.err
    assert found.err.count("\n") == 1


def test_show_writes_a_page_with_everything_in_it(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "sheet.html"
    assert main(["data", "show", str(shards), "--out", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(page), "shown": 3, "warnings": []}
    text = page.read_text()
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    viewer = json.loads(re.findall(r'id="viewer">(.*?)</script>', text, re.DOTALL)[0])
    assert "@@DATA@@" in viewer
    assert [len(record["images"]) for record in data["records"]] == [4, 4, 4]
    assert {record["captions"][0] for record in data["records"]} == {one.captions[0] for one in read_shards(shards)}
    assert "http" not in re.sub(r"http://www\.w3\.org\S*", "", text.replace("http-equiv", ""))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--views", "4"], "argument --views: expected only with --source"),
        (["--source", "procedural", "--clouds", "4"], "argument --clouds: expected only without --source"),
        (["--source", "kaykit"], "expected a folder"),
        (["--source", "kaykit", "--path", "nowhere"], "nowhere"),
        (["--source", "procedural", "--captions", "c.csv"], "argument --captions: expected only with --source folder"),
        (["--source", "procedural", "--lit", "4"], "--lit: expected a renderer that has lights, found raster"),
        (["--source", "procedural", "--bucket-by", "joint"], "argument --bucket-by: expected only with --buckets"),
    ],
)
def test_options_without_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["data", "build", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_urls_need_a_work_folder_and_pools_no_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build", "--source", "procedural", "--out", "memory://x"]) == 2
    assert "argument --work" in capsys.readouterr().err
    assert main(["data", "show", str(tmp_path), "--out", "a.png"]) == 2
    assert "ending in .html" in capsys.readouterr().err
    assert main(["data", "show", "--n", "3"]) == 2
    assert "argument --n" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "finished set of shards" in capsys.readouterr().err
