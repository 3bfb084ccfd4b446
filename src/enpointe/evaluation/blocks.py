"""The parts of a page, as its template wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Block = dict[str, Any]
"""A part of a page: "kind" (tiles, table, cards, notes, plots), "title", and what that kind shows."""


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
    """items: title, sub, image, badges (text, tone) and figures (name, value, shown); tools: to find and to sort."""
    return {"kind": "cards", "title": title, "items": list(items), "lead": lead, "tools": tools} if items else None


def plots(title: str, items: Sequence[Mapping[str, Any]], lead: str = "") -> Block | None:
    """items: title, x, y, shown, series of name and points (x, y)."""
    return {"kind": "plots", "title": title, "plots": list(items), "lead": lead} if items else None
