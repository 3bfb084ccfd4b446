"""The title, author and licence inside a glTF file, as Sketchfab and others write them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from enpointe.core.errors import InputError
from enpointe.data.caption_table import Annotation
from enpointe.data.plain_words import plain
from enpointe.io.assets.files import FolderFiles

_MAX_TREE = 8 << 20
"""Bytes of a file's tree that are read; larger trees are ignored."""
_MAX_WORDS = 300


def gltf_annotation(file: Path) -> Annotation:
    """Title, licence, creator and source out of a .glb or .gltf file; empty where it has none, or is damaged."""
    try:
        asset = _tree(file)["asset"]
        extras = asset.get("extras")
        extras = extras if isinstance(extras, dict) else {}
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        return Annotation()
    title = plain(_text(extras.get("title")))
    return Annotation(
        captions=(title,) if title else (),
        # "CC-BY-4.0 (http://creativecommons.org/...)"
        licence=_text(extras.get("license")).split(" (")[0],
        creator=_text(extras.get("author")) or _text(asset.get("copyright")),
        source=_text(extras.get("source")),
    )


def _tree(file: Path) -> Any:
    FolderFiles(file.parent).check(file.name)
    with file.open("rb") as opened:
        if file.suffix.lower() == ".gltf":
            data = opened.read(_MAX_TREE + 1)
        else:
            magic, _, _, length, _ = struct.unpack("<4s4I", opened.read(20))
            data = opened.read(min(length, _MAX_TREE + 1)) if magic == b"glTF" else b""
    return json.loads(data) if len(data) <= _MAX_TREE else {}


def _text(value: Any) -> str:
    return " ".join(value[:_MAX_WORDS].split()) if isinstance(value, str) else ""
