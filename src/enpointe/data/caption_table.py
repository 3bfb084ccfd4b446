"""Captions and attribution of assets from a table beside them: CSV or JSON lines.

Cap3D's tables (two columns without a header: identifier, caption) are read as they are.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enpointe.core.errors import InputError
from enpointe.data.plain_words import plain
from enpointe.io.assets.files import read_bounded

MAX_TABLE = 2 << 30
MAX_CAPTIONS = 20
"""Of one asset; further ones are left out."""
_COLUMNS = {
    "id": ("id", "uid", "key", "file", "filename", "path", "model", "object"),
    "caption": ("caption", "captions", "text", "description"),
    "licence": ("licence", "license"),
    "creator": ("creator", "author", "artist", "by"),
    "source": ("source", "collection", "url"),
}


@dataclass(frozen=True)
class Annotation:
    """Captions and attribution of one asset; empty where they are not known."""

    captions: tuple[str, ...] = ()
    licence: str = ""
    creator: str = ""
    source: str = ""

    def completed(self, other: Annotation) -> Annotation:
        """This one, with `other`'s values where it has none."""
        return Annotation(
            *(ours or theirs for ours, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        )


class CaptionTable:
    """Identifier -> annotation. An identifier is a path, with or without suffix, or a file's bare name."""

    def __init__(self, entries: Mapping[str, Annotation]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, path: str) -> Annotation:
        """The annotation of the asset at a relative path with slashes; the most exact identifier counts."""
        bare = path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
        for spelling in (path, bare, path.rsplit("/", 1)[-1], bare.rsplit("/", 1)[-1]):
            if spelling in self._entries:
                return self._entries[spelling]
        return Annotation()


def read_captions(path: Path) -> CaptionTable:
    """A table from a .csv or .jsonl file. Rows of the same identifier add their captions.

    Columns (or keys) are found by their names: id, caption, licence, creator, source, and usual other words
    for these. A CSV whose first row names no caption has none of them: its first column is the identifier,
    its second the caption. In JSON lines a caption may be a list.

    Raises:
        InputError: the file is absent, no such table, or too large.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl", ".ndjson"):
        raise InputError(f"{path}: expected a table of captions ending in .csv or .jsonl")
    try:
        text = read_bounded(path, MAX_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8, found {error}") from error
    entries: dict[str, Annotation] = {}
    for line, row in _csv_rows(text, path) if kind == ".csv" else _json_rows(text, path):
        name = row["id"].strip().replace("\\", "/").removeprefix("./")
        if not name:
            raise InputError(f"{path}, line {line}: expected an identifier, found none")
        before = entries.get(name, Annotation())
        captions = tuple(dict.fromkeys(before.captions + tuple(filter(None, map(plain, row["captions"])))))
        entries[name] = Annotation(
            captions[:MAX_CAPTIONS],
            *(" ".join(row[field].split()) or getattr(before, field) for field in ("licence", "creator", "source")),
        )
    return CaptionTable(entries)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: dict[str, int] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if columns is None:
                columns = _named([cell.strip().lower() for cell in cells])
                if columns:
                    continue
                columns = {"id": 0, "caption": 1}
            if len(cells) <= max(columns["id"], columns["caption"]):
                raise InputError(f"{path}, line {reader.line_num}: expected an identifier and a caption, found {cells}")
            row: dict[str, Any] = {
                field: cells[columns[field]] if columns.get(field, len(cells)) < len(cells) else ""
                for field in _COLUMNS
            }
            yield reader.line_num, row | {"captions": [row["caption"]]}
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: expected a row of CSV, found {error}") from error


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines: captions may hold the other characters that end a line.
    for line, written in enumerate(text.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            entry = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {line}: expected JSON, found {error}") from error
        columns = _named(entry) if isinstance(entry, dict) else {}
        if not columns:
            raise InputError(f"{path}, line {line}: expected an object with 'id' and 'caption', found {written[:80]!r}")
        captions = entry[columns["caption"]]
        captions = captions if isinstance(captions, list) else [captions]
        row = {field: entry.get(columns.get(field)) or "" for field in _COLUMNS} | {"captions": captions}
        row["id"] = str(row["id"])
        texts = [row[field] for field in ("licence", "creator", "source")] + captions
        if not all(isinstance(value, str) for value in texts):
            raise InputError(f"{path}, line {line}: expected texts, found {written[:80]!r}")
        yield line, row


def _named(names: Iterable[str]) -> dict[str, Any]:
    """Where each field is, a column's number in a list or a key of a mapping; {} without id or caption."""
    keyed = isinstance(names, Mapping)
    found: dict[str, Any] = {}
    for at, name in enumerate(names):
        for field, words in _COLUMNS.items():
            if str(name).lower() in words:
                found.setdefault(field, name if keyed else at)
    return found if {"id", "caption"} <= found.keys() else {}
