"""Shapes show themselves: in the browser, in a notebook's cell."""

from __future__ import annotations

import html
import json
import re
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from enpointe.checkpoints.registry import MODELS
from enpointe.core.warnings import PromptWarning
from enpointe.render import show
from fake_pipeline import FakePipeline, ball


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser is asked to open."""
    found: list[str] = []

    def open_page(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    return found


def test_a_cloud_a_mesh_and_a_result_open_in_the_browser(opened: list[str]) -> None:
    pipeline = FakePipeline(MODELS["pocket"])
    cloud = ball(200, 0)
    with pytest.warns(PromptWarning, match="nearest known nouns"):
        result = pipeline.generate("a ball far away", n_points=200, progress=False)
    paths = [cloud.show("mine"), pipeline.mesh(cloud).show(), result.show(), result.show(mesh=True)]
    assert [Path(url.removeprefix("file://")) for url in opened] == paths
    pages = [path.read_text() for path in paths if path is not None]
    assert "<title>mine</title>" in pages[0]
    shapes = [set(json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])) - {"disc"} for page in pages]
    assert shapes == [{"cloud"}, {"mesh"}, {"cloud"}, {"cloud", "mesh"}]
    assert "<title>a ball far away</title>" in pages[2]
    assert "<p>nearest known nouns: ball</p>" in pages[2]


def test_without_a_browser_the_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    path = ball(64, 0).show()
    assert capsys.readouterr().out == f"open {path} in a browser\n"


def test_a_notebook_shows_a_frame(monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    displayed: list[str] = []
    shell = type("ZMQInteractiveShell", (), {})()
    get_ipython: Callable[[], object] = lambda: shell  # noqa: E731
    module = SimpleNamespace(HTML=lambda text: text, display=displayed.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=get_ipython, display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    cloud = ball(64, 0)
    assert cloud.show() is None
    assert opened == []
    assert displayed == [cloud._repr_html_()]


def test_a_frame_holds_the_page_as_it_is() -> None:
    page = 'a <b>"page"</b> & more'
    frame = show.notebook_frame(page, 300)
    assert "height: 300px" in frame
    (inside,) = re.findall(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(inside) == page
