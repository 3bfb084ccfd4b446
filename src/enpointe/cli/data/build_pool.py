"""`enpointe data build` without --source: objects sampled ahead into one file, for the recipes of `enpointe train`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.core.errors import InputError
from enpointe.core.files import check_file, writing
from enpointe.core.progress import ProgressBar

if TYPE_CHECKING:
    from enpointe.data.assets import Asset

CLOUDS, QUERIES = 1200, 1024
MAX_CLOUDS = 1_000_000
BYTES_PER_POINT, BYTES_PER_QUERY, BYTES_PER_CLOUD, BYTES_PER_MODEL = 7, 8, 100, 1000
"""Room that a pool takes; the last two are for a cloud's words, and a model's colors and names, mostly fewer."""


def add_options(group: opt.Options) -> list[str]:
    """The options of a pool alone, and their names."""
    added = [
        group.add_argument(
            "--clouds", type=opt.whole(1, MAX_CLOUDS), metavar="N",
            help=f"how many (default: {CLOUDS}, which makes 44 MB)",
        ),
        group.add_argument(
            "--queries", type=opt.whole(16, 16_384), metavar="Q",
            help=f"signed distances of each cloud, {BYTES_PER_QUERY} bytes apiece (default: {QUERIES}; pocket-sdf "
            "needs 512)",
        ),
        group.add_argument(
            "--kaykit", action="append", default=[], metavar="DIR",
            help="also the models of the KayKit packs in this folder; may be repeated",
        ),
        group.add_argument(
            "--sweethome", action="append", nargs="?", default=[], metavar="DIR",
            help="also the models of the Sweet Home 3D libraries in this folder (default: where Debian's package "
            "sweethome3d-furniture puts them); may be repeated",
        ),
    ]  # fmt: skip
    return [action.dest for action in added]


def run(options: argparse.Namespace) -> None:
    n_clouds, n_queries = options.clouds or CLOUDS, options.queries or QUERIES
    out = Path(options.out)
    if out.suffix.lower() != ".safetensors":
        raise InputError(f"argument --out: expected a file ending in .safetensors, found {options.out!r}")
    models = _real_models(options)
    cloud = options.points * BYTES_PER_POINT + n_queries * BYTES_PER_QUERY + BYTES_PER_CLOUD
    check_file(out, (n_clouds + len(models)) * cloud + len(models) * BYTES_PER_MODEL)
    from enpointe.data.pools import pool

    start = time.perf_counter()
    with writing(out), ProgressBar() as bar:
        left_out = pool.build(
            out, n_clouds=n_clouds, n_points=options.points, n_queries=n_queries, workers=options.workers,
            seed=options.seed, models=models, progress=bar,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    megabytes = out.stat().st_size / 1e6
    machine = {
        "file": str(out), "clouds": n_clouds, "models": len(models) - len(left_out), "left_out": left_out,
        "points": options.points, "queries": n_queries, "megabytes": round(megabytes, 1), "seconds": round(seconds, 3),
    }  # fmt: skip
    for reason in left_out:
        warn(f"left out {reason}")
    made = f"{n_clouds} clouds" + (f" and {machine['models']} real models" if models else "")
    report(f"wrote {out}: {made}, {megabytes:.1f} MB, in {seconds:.0f} s", machine, options.json)


def _real_models(options: argparse.Namespace) -> list[Asset]:
    from enpointe.data.sources import open_source
    from enpointe.io.assets.limits import CLOUD_LIMITS

    places = [("kaykit", folder) for folder in options.kaykit]
    places += [("sweethome3d", folder) for folder in options.sweethome]
    return [
        asset
        for name, folder in places
        for asset in open_source(name, None if folder is None else Path(folder), limits=CLOUD_LIMITS)
    ]
