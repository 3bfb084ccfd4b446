"""`enpointe data attribution POOL`: whose the real models in a pool are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.core.files import check_file, replacing, writing


def add_parser(actions: opt.Commands[Any]) -> None:
    parser = actions.add_parser(
        "attribution", help="write whose the models in a pool are", allow_abbrev=False,
        description="Writes the attribution of the real models in a pool, by source and licence, to stand beside what "
        "is made of them. Shards have theirs in their folder.",
    )  # fmt: skip
    parser.add_argument("pool", metavar="POOL", help="a file of 'enpointe data build'")
    parser.add_argument("--out", metavar="FILE", default="ATTRIBUTION.md", help="default: ATTRIBUTION.md")
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from enpointe.data.attribution import attribution_text
    from enpointe.data.pools import pool

    models = pool.read(Path(options.pool)).models
    out = Path(options.out)
    check_file(out)
    with writing(out), replacing(out) as file:
        file.write(attribution_text(models).encode("utf-8", "backslashreplace"))
    creators = len({model.creator for model in models})
    machine = {"file": str(out), "models": len(models), "creators": creators}
    report(f"wrote {out}: {len(models)} models of {creators} creators", machine, options.json)
