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
from enpointe.data.sources import SOURCES, open_source

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
            help=f"how many (default: {CLOUDS}, which makes 49 MB with a tenth of scenes)",
        ),
        group.add_argument(
            "--scenes", type=opt.whole(0, MAX_CLOUDS), metavar="N",
            help='how many scenes of several objects, such as "two red apples" or "a lamp on a table", are added '
            "(default: a tenth of --clouds)",
        ),
        group.add_argument(
            "--queries", type=opt.whole(16, 16_384), metavar="Q",
            help=f"signed distances of each cloud, {BYTES_PER_QUERY} bytes apiece (default: {QUERIES}; pocket-sdf "
            "needs 512)",
        ),
        group.add_argument(
            "--add", action="append", default=[], metavar="SOURCE[=DIR]",
            help=f"also the models of a source ({', '.join(SOURCES)}), in its folder (default: where Debian puts it); "
            "may be repeated",
        ),
    ]  # fmt: skip
    return [action.dest for action in added]


def run(options: argparse.Namespace) -> None:
    n_clouds, n_queries = options.clouds or CLOUDS, options.queries or QUERIES
    n_scenes = n_clouds // 10 if options.scenes is None else options.scenes
    out = Path(options.out)
    if out.suffix.lower() != ".safetensors":
        raise InputError(f"argument --out: expected a file ending in .safetensors, found {options.out!r}")
    models = _real_models(options)
    cloud = options.points * BYTES_PER_POINT + n_queries * BYTES_PER_QUERY + BYTES_PER_CLOUD
    check_file(out, (n_clouds + n_scenes + len(models)) * cloud + len(models) * BYTES_PER_MODEL)
    from enpointe.data.pools import pool

    start = time.perf_counter()
    with writing(out), ProgressBar() as bar:
        left_out = pool.build(
            out, n_clouds=n_clouds, n_points=options.points, n_queries=n_queries, workers=options.workers,
            seed=options.seed, n_scenes=n_scenes, models=models, progress=bar,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    megabytes = out.stat().st_size / 1e6
    machine = {
        "file": str(out), "clouds": n_clouds, "scenes": n_scenes, "models": len(models) - len(left_out),
        "left_out": left_out, "points": options.points, "queries": n_queries,
        "megabytes": round(megabytes, 1), "seconds": round(seconds, 3),
    }  # fmt: skip
    for reason in left_out:
        warn(f"left out {reason}")
    made = [f"{n_clouds} clouds", f"{n_scenes} scenes", *([f"{machine['models']} real models"] if models else [])]
    report(f"wrote {out}: {', '.join(made)}, {megabytes:.1f} MB, in {seconds:.0f} s", machine, options.json)


def _real_models(options: argparse.Namespace) -> list[Asset]:
    from enpointe.io.assets.limits import CLOUD_LIMITS

    places = [place.partition("=") for place in options.add]
    return [
        asset
        for name, _, folder in places
        for asset in open_source(name, Path(folder) if folder else None, limits=CLOUD_LIMITS)
    ]
