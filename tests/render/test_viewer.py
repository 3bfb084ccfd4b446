"""The viewer page: what is in it, and, where there is a browser, what it does."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from enpointe.core.errors import InputError, OutputError
from enpointe.geometry import Mesh, PointCloud
from enpointe.render.viewer import save_viewer

EVIL = "</title></script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'> \"&amp; @@DATA@@"


def make_cloud() -> PointCloud:
    """A red half at x < 0 and a blue one, ten units wide, five deep, far from the origin."""
    points = np.random.default_rng(0).uniform([-5, -2.5, -2], [5, 2.5, 2], (3000, 3))
    return PointCloud(points + 100, np.where(points[:, :1] < 0, [[1, 0, 0]], [[0, 0, 1]]))


def make_mesh() -> Mesh:
    return Mesh(
        np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]]) + 100, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    )


def data_of(path: Path) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_shapes_come_back_in_one_frame(tmp_path: Path) -> None:
    cloud, mesh = make_cloud(), make_mesh()
    save_viewer(tmp_path / "v.html", cloud=cloud, mesh=mesh, title="two")
    data = data_of(tmp_path / "v.html")

    def array(shape: str, name: str, kind: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(data[shape][name]), kind).reshape(-1, 3)

    both = np.concatenate([array("cloud", "positions", "<i2"), array("mesh", "positions", "<i2")]) / 65534
    world = np.concatenate([cloud.points, mesh.vertices])
    middle, side = (world.max(axis=0) + world.min(axis=0)) / 2, np.ptp(world, axis=0).max()
    np.testing.assert_allclose(both * side + middle, world, atol=side / 65534 * 0.51 + 1e-5)
    assert np.abs(both).max() == pytest.approx(0.5, abs=1e-4)
    assert np.array_equal(array("cloud", "colors", "u1"), cloud.colors * 255)
    assert np.array_equal(array("mesh", "indices", "<u4"), mesh.faces)
    assert data["cloud"]["count"] == 3000


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    save_viewer(tmp_path / "v.html", cloud=make_cloud())
    page = (tmp_path / "v.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<iframe|<link rel=.stylesheet|\ssrc=", page)
    assert "@@" not in page


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a pink motorcycle", "a pink motorcycle"),
        (EVIL, EVIL),
        ("中文 ünï 🏍", "中文 ünï 🏍"),
        ("line\nbreak\x00\x07", "line break"),
        ("lone \ud800 half", "lone   half"),
        (" ", "Point cloud"),
    ],
)
def test_title_is_text(tmp_path: Path, title: str, shown: str) -> None:
    save_viewer(tmp_path / "v.html", mesh=make_mesh(), title=title)
    page = (tmp_path / "v.html").read_text("utf-8")
    assert page.count("<script") == 2
    assert "<img" not in page
    assert html.unescape(re.findall("<h1>(.*?)</h1>", page)[0]) == shown
    assert html.unescape(re.findall("<title>(.*?)</title>", page)[0]) == shown


def test_what_is_no_viewer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a cloud or a mesh"):
        save_viewer(tmp_path / "v.html")
    with pytest.raises(InputError, match=r"ending in \.html"):
        save_viewer(tmp_path / "v.txt", cloud=make_cloud())
    with pytest.raises(OutputError, match="expected a place"):
        save_viewer(tmp_path / "absent" / "v.html", cloud=make_cloud())
    assert list(tmp_path.iterdir()) == []


def test_one_point(tmp_path: Path) -> None:
    save_viewer(tmp_path / "v.html", cloud=PointCloud([[7, 7, 7]], [[1, 0, 0]]))
    assert not any(base64.b64decode(data_of(tmp_path / "v.html")["cloud"]["positions"]))


# In a browser


def screenshot(page: Any) -> np.ndarray:
    """The canvas as (h, w, 3), once a frame has been drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    with Image.open(io.BytesIO(page.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def spread(image: np.ndarray, channel: int) -> tuple[float, float, float]:
    """Mean row, mean column and number of the pixels in which this channel stands out."""
    rows, columns = np.nonzero(image[:, :, channel] - np.delete(image, channel, axis=2).max(axis=2) > 60)
    return (rows.mean(), columns.mean(), len(rows)) if len(rows) else (0, 0, 0)


@pytest.mark.slow
def test_in_a_browser(browser: Any, tmp_path: Path) -> None:
    save_viewer(tmp_path / "v.html", cloud=make_cloud(), mesh=make_mesh(), title=EVIL)
    page = browser.new_page(viewport={"width": 600, "height": 480}, color_scheme="light")
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "v.html").as_uri())
    assert page.title() == EVIL
    assert page.evaluate("window.broken") is None
    assert page.inner_text("#facts") == "3,000 points · 4 triangles"
    assert page.get_attribute("#turn", "aria-pressed") == "true"
    first = screenshot(page)
    page.wait_for_timeout(300)
    assert (screenshot(page) != first).any()  # it turns by itself

    page.click("#reset")
    page.click("[data-show=cloud]")
    start = screenshot(page)
    red, blue = spread(start, 0), spread(start, 2)
    assert red[2] > 3000
    assert red[1] < blue[1]  # red is at -x: to the left, seen from near the front
    assert np.array_equal(screenshot(page), start)  # and now it rests

    page.mouse.move(300, 240)
    page.mouse.down()
    page.mouse.move(300 + 450, 240, steps=3)  # 180 degrees
    page.mouse.up()
    turned = screenshot(page)
    assert spread(turned, 0)[1] > spread(turned, 2)[1]

    page.mouse.move(300, 240)
    page.mouse.wheel(0, -400)
    assert spread(screenshot(page), 0)[2] > 1.2 * spread(turned, 0)[2]
    page.click("#reset")
    assert np.array_equal(screenshot(page), start)

    page.click("[data-show=mesh]")
    assert spread(screenshot(page), 0)[2] == 0
    assert not page.is_visible("#size")
    page.click("#theme")
    assert screenshot(page)[5, 5].max() < 60
    assert errors == []
    assert requests == [(tmp_path / "v.html").as_uri()]
    page.close()


@pytest.mark.slow
def test_two_fingers_zoom(browser: Any, tmp_path: Path) -> None:
    save_viewer(tmp_path / "v.html", cloud=make_cloud())
    context = browser.new_context(viewport={"width": 360, "height": 640}, has_touch=True)
    page = context.new_page()
    page.goto((tmp_path / "v.html").as_uri())
    page.click("#reset")
    before = spread(screenshot(page), 0)[2]
    session = context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[int, int]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (160, 300), (200, 300))
    touch("touchMove", (140, 300), (220, 300))
    touch("touchEnd")
    assert spread(screenshot(page), 0)[2] > 1.3 * before
    assert not page.is_visible("#shapes")
    context.close()
