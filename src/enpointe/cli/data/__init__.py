"""`enpointe data`: make training data, look at it, check it, say whose it is."""

from __future__ import annotations

from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.data import attribution, build, check, show


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser("data", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (show, build, check, attribution):
        action.add_parser(actions)
