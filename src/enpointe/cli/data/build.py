"""`enpointe data build`: a pool, or with --source shards (see `build_pool` and `build_shards`)."""

from __future__ import annotations

import argparse
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.data import build_pool, build_shards
from enpointe.cli.fields import flag
from enpointe.core.errors import InputError


def add_parser(actions: opt.Commands[Any]) -> None:
    parser = actions.add_parser(
        "build", help="make clouds ahead", allow_abbrev=False,
        description="Without --source: samples procedural objects, with signed distances, and real models, without, "
        "into a file for 'enpointe train --data'. With --source: renders 3D models, fuses their views into clouds, "
        "filters them and writes shards.",
    )  # fmt: skip
    shared = [
        parser.add_argument(
            "--out", required=True, metavar="FILE", help="a .safetensors file; of shards a folder, or an fsspec URL"
        ),
        parser.add_argument(
            "--points", type=opt.whole(64, 16_384), default=4096, metavar="P",
            help=f"points of each cloud, {build_pool.BYTES_PER_POINT} bytes apiece (default: 4096, as many as "
            "pocket-up needs)",
        ),
        parser.add_argument("--workers", type=opt.whole(1, 1024), metavar="W", help="processes (default: one a core)"),
        parser.add_argument("--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S", help="default: 0"),
    ]  # fmt: skip
    opt.add_json(parser)
    pool = parser.add_argument_group("a pool (without --source)")
    shards = parser.add_argument_group("shards (with --source)")
    parser.set_defaults(
        run=run,
        only_pool=build_pool.add_options(pool),
        only_shards=build_shards.add_options(shards, frozenset(action.dest for action in shared)),
    )


def run(options: argparse.Namespace) -> None:
    shards = options.source is not None
    for name in options.only_pool if shards else options.only_shards:
        if getattr(options, name) not in (None, []):
            raise InputError(f"argument {flag(name)}: expected only {'without' if shards else 'with'} --source")
    (build_shards if shards else build_pool).run(options)
