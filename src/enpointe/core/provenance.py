"""How a file carries where it came from: one JSON object, in whatever place its format has for remarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

KEY = "enpointe"
LINE = 120  # characters of JSON in a comment line: some readers stop at 1,024, or at words of 256


def to_json(provenance: Mapping[str, Any]) -> str:
    """ASCII without line breaks, whatever a prompt holds."""
    return json.dumps(provenance, ensure_ascii=True, default=str)


def from_json(text: str) -> dict[str, Any] | None:
    """The object, or None where the text is no JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def to_lines(provenance: Mapping[str, Any]) -> list[str]:
    """The JSON cut into short lines, each marked as ours."""
    text = to_json(provenance)
    return [f"{KEY} {text[i : i + LINE]}" for i in range(0, len(text), LINE)]


def from_lines(lines: Iterable[str]) -> dict[str, Any] | None:
    """What `to_lines` was given, other lines between or not; None without such lines."""
    return from_json("".join(line.removeprefix(f"{KEY} ") for line in lines if line.startswith(f"{KEY} ")))
