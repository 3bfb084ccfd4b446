"""`enpointe upsample CLOUD`: a user's own cloud becomes a denser one."""

from __future__ import annotations

import argparse
import time
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.cli.files import input_file, output_file
from enpointe.core.files import writing
from enpointe.core.progress import ProgressBar


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser("upsample", description="Adds points to a cloud.", allow_abbrev=False)
    parser.add_argument("cloud", metavar="CLOUD", help="colored points, such as a .ply or .npz file")
    parser.add_argument("--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S", help="default: 0")
    parser.add_argument(
        "--out", metavar="FILE", help="a file to write, such as a .ply or .npz (default: <CLOUD>-<points>.ply)"
    )
    opt.add_points(parser)
    opt.add_model(parser)
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    source = input_file(options.cloud, "read_cloud")
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.io.formats import suffixes

    out = output_file(options, source, f"-{options.points}.ply", suffixes("write_cloud"))
    cloud = PointCloud.load(source)
    start = time.perf_counter()
    pipeline = opt.load_model(options)
    with ProgressBar() as bar:
        denser = pipeline.upsample(cloud, n_points=options.points, seed=options.seed, progress=bar)
    with writing(out):
        denser.save(out)
    seconds = round(time.perf_counter() - start, 3)
    machine = {"file": str(out), "points": len(denser), "seconds": seconds}
    report(f"wrote {out}: {len(denser)} points, from {len(cloud)}", machine, options.json)
