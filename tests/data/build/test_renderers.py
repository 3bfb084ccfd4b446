"""Renderers of a build by name: those of this package, and one that is added by adding a module."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from data.fake_build import boxes
from enpointe.cli import main
from enpointe.core.errors import InputError
from enpointe.data.build import renderers
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.convert import convert_asset
from enpointe.data.build.renderers import RENDERERS
from enpointe.render.blender.renderer import BlenderRenderer
from enpointe.render.raster import RasterRenderer


def test_the_renderers_of_this_package() -> None:
    assert list(RENDERERS) == ["blender", "raster"]
    assert RENDERERS["raster"](0, 1) is RasterRenderer
    blender = RENDERERS["blender"](16, 3)
    assert isinstance(blender, partial)
    assert (blender.func, blender.keywords) == (BlenderRenderer, {"lit_samples": 16, "threads": 3})
    with pytest.raises(InputError, match="renderer raster: expected no samples for lit views"):
        RENDERERS["raster"](16, 1)


def test_a_renderer_is_added_by_adding_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dots.py").write_text(
        "from data.fake_build import FakeRenderer\n"
        "from enpointe.data.build.renderers import RENDERERS\n"
        "RENDERERS.register('dots')(lambda lit_samples, threads: FakeRenderer)\n"
    )
    monkeypatch.setattr(renderers, "__path__", [*renderers.__path__, str(tmp_path)])
    try:
        with RENDERERS["dots"](0, 1)() as renderer:
            _, record = convert_asset(boxes(1)[0], renderer, BuildConfig("dots", views=3, size=24, points=64))
        assert record is not None
        assert main(["data", "build", "--source", "procedural", "--renderer", "crayon", "--out", "x"]) == 2
        assert "dots" in capsys.readouterr().err
    finally:
        RENDERERS.unregister("dots")
        del sys.modules["enpointe.data.build.renderers.dots"]
