"""Sources by name: those of this package, and one that is added by adding a module, here or in another package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import enpointe.data.sources
from data.hostile import obj
from enpointe.cli import main
from enpointe.core.errors import DeviceError, InputError
from enpointe.core.warnings import EnpointeWarning
from enpointe.data.shards.reader import read_shards
from enpointe.data.sources import SOURCES, open_source
from enpointe.render.renderers.raster import RasterRenderer

OURS = {"0ad", "folder", "kaykit", "procedural", "sweethome3d"}
BRICKS = """
\"\"\"Bricks of a height, as a source that somebody adds.\"\"\"

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from enpointe.core.options import option
from enpointe.data.assets import Asset
from enpointe.data.sources import SOURCES, Source
from enpointe.io.assets.limits import LIMITS
from enpointe.io.assets.model import Material, Model


@SOURCES.register("bricks")
@dataclass(frozen=True)
class Bricks(Source):
    height: float = field(default=0.5, metadata=option("of each brick", "H", least=0.1, most=2))
    limit: int = field(default=3, metadata=option("how many", "N", least=1))

    def open(self, path=None, limits=LIMITS):
        words = {"name": "brick", "nouns": (), "tags": (), "category": "", "licence": "CC0-1.0", "source": "bricks"}
        return [
            Asset(key=f"bricks/{i}", creator=str(path), load=partial(brick, i, self.height), **words)
            for i in range(self.limit)
        ]


def brick(number, height):
    corners = np.array([(x, y, z) for x in (0, 1 + number / 4) for y in (0, 0.4) for z in (0, height)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return Model(
        corners[faces], np.zeros((12, 3, 2), np.float32), np.ones((12, 3, 3), np.float32), np.zeros(12, np.int64),
        (Material(np.array((0.7, 0.2, 0.1), np.float32)),),
    )
"""


def test_the_sources_of_this_package() -> None:
    assert set(SOURCES) == OURS


def test_they_are_opened_by_name_and_options(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_bytes(obj())
    (asset,) = open_source("folder", tmp_path, creator="Ann")
    assert (asset.key, asset.creator, asset.licence) == ("folder/a.obj", "Ann", "unknown")
    assert len(open_source("procedural", limit=7)) == 7
    for name, path, reason in (
        ("nonsense", None, "source: expected one of .*folder.*, found 'nonsense'"),
        ("folder", None, "expected a folder"),
        ("folder", tmp_path / "none", "expected a folder"),
        ("kaykit", tmp_path / "none", "expected a folder"),
        ("procedural", tmp_path, "expected none"),
        ("0ad", tmp_path, "0ad-data"),
        ("sweethome3d", tmp_path, "sweethome3d-furniture"),
    ):
        with pytest.raises(InputError, match=reason):
            open_source(name, path)
    with pytest.raises(InputError, match="folder: expected options among captions, licence, creator, found 'no'"):
        open_source("folder", tmp_path, no=1)
    with pytest.raises(InputError, match="source kaykit: expected options among none, found 'seed'"):
        open_source("kaykit", tmp_path, seed=1)


def install(folder: Path, module: str) -> None:
    """A package that names a module of its own among our sources, as pip would leave it in `folder`."""
    metadata = folder / "elsewhere-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[enpointe.sources]\nanything = {module}\n")


@pytest.fixture(params=["a module among ours", "an entry point of another package"])
def bricks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file that adds a source, and nothing else changed."""
    folder = tmp_path / "added"
    folder.mkdir()
    (folder / "bricks.py").write_text(BRICKS)
    if request.param == "a module among ours":
        module = "enpointe.data.sources.bricks"
        monkeypatch.setattr(enpointe.data.sources, "__path__", [*enpointe.data.sources.__path__, str(folder)])
    else:
        module = "bricks"
        install(folder, module)
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(SOURCES, "_complete", False)
    yield
    SOURCES.unregister("bricks")
    del sys.modules[module]


@pytest.mark.usefixtures("bricks")
def test_a_source_is_added_by_adding_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(SOURCES) == OURS | {"bricks"}
    assets = list(open_source("bricks", tmp_path, height=0.25))
    assert [asset.key for asset in assets] == ["bricks/0", "bricks/1", "bricks/2"]
    assert assets[0].load().triangles.max(axis=(0, 1)).tolist() == [1, 0.4, 0.25]

    with pytest.raises(SystemExit):
        main(["data", "build", "--help"])
    assert "--height H" in capsys.readouterr().out
    out = str(tmp_path / "out")
    for arguments, reason in (
        (["--source", "nonsense"], "'bricks'"),
        (["--source", "bricks", "--height", "3"], "argument --height: expected a number from 0.1 to 2"),
        (["--source", "kaykit", "--height", "1"], "argument --height: expected only with --source bricks"),
    ):
        assert main(["data", "build", *arguments, "--out", out]) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("bricks")
@pytest.mark.parametrize("bricks", ["an entry point of another package"], indirect=True)  # workers find it there, too
def test_it_is_built_into_shards(tmp_path: Path) -> None:
    try:
        RasterRenderer().close()
    except DeviceError as error:
        pytest.skip(str(error))
    size = ["--views", "3", "--size", "32", "--points", "64", "--workers", "1"]
    options = ["--source", "bricks", "--path", str(tmp_path), "--limit", "2", "--height", "0.3"]
    assert main(["data", "build", *options, *size, "--out", str(tmp_path / "out")]) == 0
    records = sorted(read_shards(tmp_path / "out"), key=lambda record: record.key)
    assert [(record.key, record.captions, record.creator) for record in records] == [
        ("bricks/0", ("brick",), str(tmp_path)), ("bricks/1", ("brick",), str(tmp_path)),
    ]  # fmt: skip


def test_a_broken_package_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "nowhere_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(SOURCES, "_complete", False)
    with pytest.warns(EnpointeWarning, match="source: expected nowhere_at_all to be importable, found"):
        assert set(SOURCES) == OURS
