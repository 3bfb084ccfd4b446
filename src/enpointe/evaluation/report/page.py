"""Pages that open without a network: blocks of tables, plots and pictures, filled into one template."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from enpointe.core.files import replacing
from enpointe.geometry.point_cloud import PointCloud
from enpointe.render import plot

Block = dict[str, Any]
"""A part of a page: "kind" (tiles, table, cards, notes, plots, words), "title", and what that kind shows."""

SIDE, COLORS = 200, 96
"""Of a picture: pixels along a side, and different colours."""


def save_page(
    path: Path, title: str, subtitle: str, blocks: Sequence[Block | None], pictures: Mapping[str, str] | None = None
) -> None:
    """Write the page; blocks that are None are left out.

    Args:
        pictures: PNG in base64, by the names by which cards call them.

    Raises:
        OutputError: it cannot be written.
    """
    data = {
        "title": title,
        "subtitle": subtitle,
        "blocks": [block for block in blocks if block is not None],
        "pictures": dict(pictures or {}),
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = resources.files("enpointe.evaluation.report").joinpath("report.html").read_text(encoding="utf-8")
    with replacing(path) as file:
        file.write(page.replace("%%DATA%%", text).encode("utf-8", "backslashreplace"))


def picture(cloud: PointCloud) -> str:
    """A cloud from its front and from its back, side by side, as PNG in base64."""
    image = Image.fromarray(plot.views(cloud, 2, SIDE, columns=2))
    file = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def tiles(title: str, rows: Sequence[Mapping[str, Any]], lead: str = "") -> Block | None:
    return {"kind": "tiles", "title": title, "rows": list(rows), "lead": lead} if rows else None


def table(
    title: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Sequence[Sequence[Any]],
    lead: str = "",
    *,
    folded: bool = False,
) -> Block | None:
    """columns: name, and "text" for words or "shown": "share" for per cent with a bar."""
    if not rows:
        return None
    return {"kind": "table", "title": title, "columns": list(columns), "rows": rows, "lead": lead, "folded": folded}


def notes(title: str, items: Sequence[str], lead: str = "") -> Block | None:
    return {"kind": "notes", "title": title, "items": list(items), "lead": lead} if items else None


def cards(title: str, items: Sequence[Mapping[str, Any]], lead: str = "", *, tools: bool = False) -> Block | None:
    """items: title, sub, pictures, badges (text, tone) and figures (name, value, shown); tools: to find and to sort."""
    return {"kind": "cards", "title": title, "items": list(items), "lead": lead, "tools": tools} if items else None


def plots(title: str, items: Sequence[Mapping[str, Any]], lead: str = "") -> Block | None:
    """items: title, x, y, shown, series of name and points (x, y)."""
    return {"kind": "plots", "title": title, "plots": list(items), "lead": lead} if items else None
