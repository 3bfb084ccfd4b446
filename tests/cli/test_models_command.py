"""`enpointe models`: what is here, taking a file in, giving it out again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from enpointe.checkpoints import structure
from enpointe.checkpoints.registry import MODELS, ModelSpec, ReleasedFile, register_model
from enpointe.cli import main
from enpointe.nn.sdf import SDFConfig

SOURCE = Path(__file__).parents[2] / "src"
CONFIG = SDFConfig(width=8, encoder_layers=1, encoder_heads=1, decoder_layers=1, decoder_heads=1)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of a small model, "tiny", that is known by name; the cache is a folder that is not there yet."""
    register_model(ModelSpec("tiny", "for tests", released=ReleasedFile("tiny_release.pt", 5000)))
    monkeypatch.setitem(structure.BUILDERS, "tiny", CONFIG.build)
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ENPOINTE_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.pt"
    torch.save(CONFIG.build().state_dict(), path)
    yield path
    MODELS.unregister("tiny")


def same(path: Path, other: Path) -> bool:
    states: list[dict[str, Tensor]] = [torch.load(file, weights_only=True) for file in (path, other)]
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["models", *arguments]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.startswith("enpointe: error: ")
    assert done.err.count("\n") == 1
    return done.err


def test_list_tells_what_is_here(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    words = capsys.readouterr().out
    lines = {line.split()[0]: line for line in words.splitlines()}
    assert set(lines) == set(MODELS)
    assert all("embedded" in lines[name] for name, spec in MODELS.items() if spec.released is None)
    assert "not here (4,977 MB)" in lines["base1B"]
    assert not (tmp_path / "cache").exists()
    assert main(["models", "import", str(checkpoint), "--as", "tiny"]) == 0
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    models = {model["name"]: model for model in found["models"]}
    cached = tmp_path / "cache" / "tiny.safetensors"
    assert found["cache"] == str(tmp_path / "cache")
    assert (models["tiny"]["file"], models["tiny"]["bytes"]) == (str(cached), cached.stat().st_size)
    assert models["sdf"]["file"] is None
    assert models["pocket"]["embedded"]


def test_import_show_export(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "import", str(checkpoint), "--as", "tiny", "--json"]) == 0
    imported = json.loads(capsys.readouterr().out)
    assert main(["models", "show", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == imported
    assert imported["source"] == str(checkpoint)
    assert main(["models", "show", "tiny"]) == 0
    assert imported["sha256"] in capsys.readouterr().out
    assert main(["models", "download", "tiny"]) == 0  # it is there: no network is needed
    capsys.readouterr()
    assert main(["models", "export", "tiny"]) == 0
    assert capsys.readouterr().out == "wrote tiny_release.pt\n"
    assert same(tmp_path / "tiny_release.pt", checkpoint)
    assert main(["models", "export", "tiny", "--out", "again.safetensors"]) == 0
    assert main(["models", "import", "again.safetensors", "--as", "tiny"]) == 0
    assert main(["models", "export", "tiny", "--out", "twice.pt"]) == 0
    assert same(tmp_path / "twice.pt", checkpoint)


def test_show_of_what_is_not_here(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "base300M"]) == 0
    assert "https://openaipublic.azureedge.net/main/point-e/base_300m.pt" in capsys.readouterr().out
    assert main(["models", "show", "pocket"]) == 0
    words = capsys.readouterr().out
    assert "pocket-layout.safetensors" in words
    assert "knows aeroplane, apple, armchair" in " ".join(words.split())
    assert checkpoint.exists()


def test_errors_are_one_line(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected one of " + ", ".join(MODELS) + ", found 'base2B'" in fails(capsys, "show", "base2B")
    assert "expected one of base40M-textvec, base40M-imagevec" in fails(capsys, "download", "pocket")
    assert "models import sdf.pt --as sdf" in fails(capsys, "download", "sdf")
    assert "missing keys" in fails(capsys, "import", str(checkpoint), "--as", "sdf")
    assert "No such file" in fails(capsys, "import", "absent.pt", "--as", "sdf")
    assert "enpointe models download sdf" in fails(capsys, "export", "sdf")
    assert main(["models", "import", str(checkpoint), "--as", "tiny"]) == 0
    capsys.readouterr()
    assert "ending in .pt, .safetensors" in fails(capsys, "export", "tiny", "--out", "x.bin")
    assert "expected an existing folder" in fails(capsys, "export", "tiny", "--out", "nowhere/x.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "given.pt"]


def test_list_needs_no_pytorch(tmp_path: Path) -> None:
    code = (
        "import sys; from enpointe.cli import main; code = main(['models', 'list']) or main(['models', 'show', 'sdf']);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "ENPOINTE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
