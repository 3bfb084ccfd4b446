"""`enpointe data check SHARDS`: whether a set of shards is whole."""

from __future__ import annotations

import argparse
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressBar


def add_parser(actions: opt.Commands[Any]) -> None:
    parser = actions.add_parser(
        "check", help="read every record of a set of shards", allow_abbrev=False,
        description="Reads every record of a set of shards: hashes, counts, images, licences. Damage is exit code 2.",
    )  # fmt: skip
    parser.add_argument("shards", metavar="SHARDS", help="a folder or an fsspec URL")
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from enpointe.data.shards.check import check_shards

    with ProgressBar() as bar:
        found = check_shards(options.shards, bar)
    if found.damages:
        more = f" (and {len(found.damages) - 1} more)" if len(found.damages) > 1 else ""
        raise InputError(f"{found.damages[0]}{more}")
    if found.unlicensed:
        warn(f"{found.unlicensed} of {found.records} records have no known licence")
    licences = dict(sorted(found.licences.items()))
    machine = {
        "shards": options.shards, "records": found.records, "images": found.images, "points": found.points,
        "bytes": found.bytes, "licences": licences,
    }  # fmt: skip
    words = ", ".join(f"{count} {name}" for name, count in licences.items())
    report(
        f"{options.shards}: {found.records} records are whole, with {found.images} images and {found.points} points; "
        f"licences: {words}",
        machine,
        options.json,
    )
