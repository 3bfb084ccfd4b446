"""A user's own files: which ones can be read, and the name of what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.core.errors import InputError
from enpointe.core.files import check_file

if TYPE_CHECKING:
    from enpointe.io.formats import Ability


def input_file(text: str, *abilities: Ability) -> Path:
    """The path of an existing file, of a format with one of these abilities; InputError if it is not."""
    from enpointe.io.formats import suffixes

    known, path = suffixes(*abilities), Path(text)
    if path.suffix.lower() not in known:
        raise InputError(f"{text}: expected a file ending in {_listed(known)}")
    if not path.exists():
        raise InputError(f"{text}: expected an existing file, found none")
    if not path.is_file():
        raise InputError(f"{text}: expected a file, found something else")
    return path


def output_file(options: argparse.Namespace, source: Path, ending: str, known: Sequence[str]) -> Path:
    """Where to write: --out, or a file beside `source` called `<stem><ending>`. Checked to be writable.

    Args:
        known: the suffixes that it may have.
    """
    path = Path(options.out) if options.out is not None else source.with_name(source.stem + ending)
    if path.suffix.lower() not in known:
        raise InputError(f"argument --out: expected a file ending in {_listed(known)}, got {options.out!r}")
    return check_file(path)


def _listed(suffixes: Sequence[str]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}" if len(suffixes) > 1 else suffixes[0]
