"""The page of a set of shards, in a browser if there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enpointe.data.shards import index as shards
from enpointe.data.shards.contact_page import save_page
from enpointe.data.shards.records import Record, StoredView, quantized_points, webp
from enpointe.data.shards.store import Store
from enpointe.render.camera import random_cameras

EVIL = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'> \"&amp; $& @@DATA@@ %%DATA%%"


def red_ball(key: str, caption: str) -> Record:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((500, 3))
    points /= 2 * np.linalg.norm(points, axis=1, keepdims=True)
    camera = random_cameras(1, rng, size=32)[0]
    view = StoredView(webp(np.full((32, 32, 4), (200, 20, 20, 255), np.uint8)), camera)
    colors = np.full((500, 3), (220, 20, 20), np.uint8)
    return Record(
        key, quantized_points(points), colors, (caption, "a ball"), "CC0-1.0", "somebody", "a pack", views=(view,) * 3,
        provenance={"figures": {"coverage": 0.2, "thickness": 0.3, "unseen": None}},
    )  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    records = [red_ball("balls/red", "a red ball"), red_ball("balls/evil", EVIL)]
    records.append(replace(records[0], key="balls/bare", views=(), captions=()))
    store = Store(tmp_path / "shards")
    shard = shards.write_shard(store, shards.shard_name(0), (record.encode() for record in records))
    store.write(shards.INDEX, shards.Index((shard,)).encode())
    out = tmp_path / "sheet.html"
    assert save_page(tmp_path / "shards", out, n=2) == 2
    assert save_page(tmp_path / "shards", out) == 3
    return out


@pytest.mark.slow
def test_in_a_browser(browser: Any, page: Path) -> None:
    sheet = browser.new_page(viewport={"width": 900, "height": 700})
    errors: list[str] = []
    requests: list[str] = []
    sheet.on("pageerror", lambda error: errors.append(str(error)))
    sheet.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    sheet.on("request", lambda request: requests.append(request.url))
    sheet.goto(page.as_uri())
    assert sheet.locator("article").count() == 3
    assert EVIL in sheet.locator("article h2").all_inner_texts()
    assert sheet.locator("article img").count() == 6
    sheet.fill("#search", "red ball")
    assert sheet.locator("article:visible").count() == 1
    sheet.fill("#search", "evil")
    sheet.locator("article:visible .images").click()
    frame = sheet.frame_locator("#frame")
    assert frame.locator("h1").inner_text() == EVIL
    frame.locator("#facts", has_text="500 points").wait_for()  # once its script has run
    assert frame.locator("#trouble").is_hidden()
    sheet.click("#close")
    assert sheet.locator("dialog").is_hidden()
    assert sheet.evaluate("window.broken") is None
    assert errors == []
    assert {url.split(":")[0] for url in requests} <= {"file", "data", "about"}
    sheet.close()
