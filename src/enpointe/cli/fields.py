"""Command-line options from the fields of a dataclass that `core.options.option` describes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enpointe.cli import options as opt
from enpointe.core.options import Option, options_of


def add_fields(parser: opt.Options, kind: type, *, without: frozenset[str] = frozenset(), where: str = "") -> list[str]:
    """Adds the options of a dataclass, but for those in `without`, and returns their names.

    None has a default on the command line, so that those which were given are known, see `given`.
    """
    added = []
    for name, (option, default) in options_of(kind).items():
        if name not in without:
            shown = "" if default is None else f" (default: {default})"
            parser.add_argument(
                flag(name), dest=name, type=_parser(option, default), metavar=option.metavar,
                help=f"{where}{option.text}{shown}",
            )  # fmt: skip
            added.append(name)
    return added


def given(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The options of a dataclass that were given, as its arguments."""
    values = {name: getattr(options, name) for name in options_of(kind)}
    return {name: value for name, value in values.items() if value is not None}


def flag(name: str) -> str:
    """How a field is called on the command line: "bucket_by" -> "--bucket-by"."""
    return f"--{name.replace('_', '-')}"


def _parser(option: Option, default: Any) -> Callable[[str], Any]:
    kind = option.kind or type(default)
    if kind is int:
        return opt.whole(int(option.least), int(option.most))
    if kind is float:
        return opt.real(option.least, option.most)
    return Path if kind is Path else str
