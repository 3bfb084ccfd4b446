"""Writes the table of families in data.md from the code: python docs/families.py [--check]."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from enpointe.data.held_out import held_out
from enpointe.data.procedural.colors import PAINT
from enpointe.data.procedural.families import FAMILIES, RARE

PAGE = Path(__file__).with_name("data.md")
BEGIN, END = "<!-- families: written by docs/families.py -->\n", "<!-- end of families -->"


def table() -> str:
    """A count, and a row for each category, its families with all their nouns."""
    pairs = sum(held_out(family, color) for family in FAMILIES for color in PAINT)
    nouns = len({noun for family in FAMILIES.values() for noun in family.names})
    count = f"{len(FAMILIES)} families, {nouns} nouns"
    unseen = f"{pairs} of the {len(FAMILIES) * len(PAINT):,} pairs of a family and a paint are held out"
    lines = [
        f"{count}; {unseen}. A star marks the {len(RARE)} rarer families.\n",
        "| category | families and their further nouns |",
        "| --- | --- |",
    ]
    for category, group in groupby(FAMILIES.values(), lambda family: family.category):
        cells = []
        for family in group:
            first, *others = family.names
            star = r"\*" if family.name in RARE else ""
            cells.append(f"{first}{star}" + (f" ({', '.join(others)})" if others else ""))
        lines.append(f"| {category} | {', '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    new = before + BEGIN + table() + END + after
    if "--check" in sys.argv[1:]:
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
