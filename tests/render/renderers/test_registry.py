"""To add a renderer is to add one file: Python and both commands know it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from enpointe.cli import main
from enpointe.core.errors import DeviceError, InputError
from enpointe.data.build.build import build_shards
from enpointe.data.shards.reader import read_shards
from enpointe.evaluation.runner.tools import open_renderer
from enpointe.evaluation.settings import Settings
from enpointe.geometry import PointCloud
from enpointe.render import renderers
from enpointe.render.blender.process import ENVIRONMENT
from enpointe.render.renderers import RENDERERS
from enpointe.render.software.perspective import RenderConfig

CRAYON = '''
"""Crayons: the software renderer's views, all in red."""

from enpointe.render.renderers import RENDERERS
from enpointe.render.renderers.software import SoftwareRenderer


@RENDERERS.register("crayon")
class CrayonRenderer(SoftwareRenderer):
    name = "crayon 1"

    def render(self, model, cameras):
        views = super().render(model, cameras)
        for view in views:
            view.color[..., 1:3] = 0
        return views
'''


@pytest.fixture
def crayon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file `crayon.py` among the renderers."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "crayon.py").write_text(CRAYON)
    monkeypatch.setattr(renderers, "__path__", [*renderers.__path__, str(folder)])
    yield
    if "enpointe.render.renderers.crayon" in sys.modules:
        RENDERERS.unregister("crayon")
        del sys.modules["enpointe.render.renderers.crayon"]
        del renderers.crayon  # type: ignore[attr-defined]


def test_names_are_known_without_numpy() -> None:
    code = (
        "import sys; from enpointe.render.renderers import RENDERERS; print(*RENDERERS); "
        "assert not {'numpy', 'torch', 'moderngl'} & sys.modules.keys()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["blender", "gl", "raster", "rays", "software"]


def test_what_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="renderer: expected one of blender, gl, raster, rays, software, found 'oven'"):
        open_renderer(Settings(renderer="oven"))
    with pytest.raises(InputError, match="views"):
        open_renderer(Settings(views=0))
    monkeypatch.setenv(ENVIRONMENT, "no-such-blender")
    with pytest.raises(DeviceError, match="no-such-blender"):
        open_renderer(Settings(renderer="blender"))
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(DeviceError, match=r"expected moderngl \(pip install"):
        RENDERERS["gl"]()


@pytest.mark.usefixtures("crayon")
def test_a_file_adds_a_renderer_to_python_and_to_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "crayon" in RENDERERS
    cloud = PointCloud(np.random.default_rng(0).random((40, 3)), np.full((40, 3), 0.5))
    with RENDERERS["crayon"]() as renderer:
        images = renderer.images(cloud, RenderConfig(views=2, size=32))
    assert images.shape == (2, 32, 32, 3)
    for command in (["data", "build"], ["evaluate"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        assert "crayon" in capsys.readouterr().out
    # Only processes that are forked know of a file that is put among the modules here.
    monkeypatch.setattr(build_shards, "__kwdefaults__", {**(build_shards.__kwdefaults__ or {}), "method": "fork"})
    out = tmp_path / "shards"
    options = ["--limit", "2", "--views", "4", "--size", "32", "--points", "64", "--workers", "1", "--seed", "1"]
    assert main(["data", "build", "--source", "procedural", "--renderer", "crayon", "--out", str(out), *options]) == 0
    records = list(read_shards(out))
    assert records
    for record in records:
        assert record.provenance["renderer"] == "crayon 1"
        assert (record.cloud().colors[:, 1:] == 0).all()
