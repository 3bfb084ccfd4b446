"""What README and docs say is there: commands, files, links, types of the snippets, what the model knows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from enpointe.checkpoints.registry import MODELS, generators
from enpointe.cli.app import build_parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("[RC]*.md")) + sorted((ROOT / "docs").glob("*.md"))
CARD = ROOT / "src" / "enpointe" / "assets" / "README.md"


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's code blocks of one language; "" for those without."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [content for name, content in fenced if name == language]


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "")).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"(\.venv/bin/)?enpointe ", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_what_the_parser_takes(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if any(sign in line.split("#")[0] for sign in ("COMMAND", "...", "[", "|", "--help")):
            continue
        build_parser(words[0]).parse_args(words)  # InputError, which names the line's fault, where it takes none


def test_there_are_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 15


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|html|json))`", page.read_text(encoding="utf-8"))
    for name in named:
        if Path(name).stem == "x":  # a file that is to be written
            continue
        places = (ROOT / name, ROOT / "src" / "enpointe" / name, ROOT / "src" / name)
        assert any(place.is_file() for place in places), name


def test_readme_lists_what_pocket_knows() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    nouns = [names[0] for names in MODELS["pocket"].nouns]
    assert f"{len(nouns)} things" in text
    assert f"{', '.join(nouns[:-1])} and {nouns[-1]}" in text


def test_readme_names_every_model() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in generators():
        assert f"`{name}`" in text or f" {name}" in text, name


@pytest.mark.slow
@pytest.mark.slow
def test_snippets_pass_a_strict_type_check(tmp_path: Path) -> None:
    """As a user's own code would be checked; a misspelled setting is an error, and a pipeline's type is known."""
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    (tmp_path / "snippets.py").write_text(code)
    (tmp_path / "wrong.py").write_text(
        "import enpointe\n"
        'enpointe.load("pocket").generate("a chair", stpes=3)\n'
        'enpointe.load("base40M").generate(picture="chair.png")\n'
        'reveal_type(enpointe.load("pocket"))\n'
        'reveal_type(enpointe.load().generate("a chair"))\n'
        'reveal_type(enpointe.load().generate(["a chair"]))\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "snippets.py", "wrong.py"],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith(("snippets.py", "wrong.py"))]
    assert not [line for line in lines if line.startswith("snippets.py") and "error:" in line], done.stdout
    assert re.search(r'^wrong\.py:2: error: .*"stpes"', done.stdout, flags=re.MULTILINE), done.stdout
    assert re.search(r'^wrong\.py:3: error: .*"picture"', done.stdout, flags=re.MULTILINE), done.stdout
    revealed = re.findall(r'Revealed type is "([^"]*)"', done.stdout)
    assert [kind.replace("builtins.", "") for kind in revealed] == [
        "enpointe.pipelines.base.Pipeline",
        "enpointe.pipelines.result.Result",
        "list[enpointe.pipelines.result.Result]",
    ]
