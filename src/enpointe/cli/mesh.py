"""`enpointe mesh CLOUD`: a user's own cloud becomes a mesh."""

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
    parser = commands.add_parser(
        "mesh", description="Makes a closed, colored mesh from a cloud.",
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("cloud", metavar="CLOUD", help="colored points, such as a .ply or .npz file")
    parser.add_argument(
        "--out", metavar="FILE", help="a file to write, such as a .glb, .ply or .obj (default: <CLOUD>-mesh.glb)"
    )
    opt.add_grid(parser)
    parser.add_argument("--dense", action="store_true", help="ask the model at every grid point, as the release does")
    parser.add_argument("--keep-small-pieces", action="store_true", help="keep small floating pieces")
    opt.add_model(parser)
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    source = input_file(options.cloud, "read_cloud")
    from enpointe.geometry.point_cloud import PointCloud
    from enpointe.io.formats import suffixes

    out = output_file(options, source, "-mesh.glb", suffixes("write_mesh"))
    cloud = PointCloud.load(source)
    start = time.perf_counter()
    pipeline = opt.load_model(options)
    with ProgressBar() as bar:
        mesh = pipeline.mesh(
            cloud,
            grid_size=options.grid,
            keep_small_pieces=options.keep_small_pieces,
            dense=options.dense,
            progress=bar,
        )
    with writing(out):
        mesh.save(out)
    seconds = round(time.perf_counter() - start, 3)
    machine = {"file": str(out), "vertices": len(mesh.vertices), "faces": len(mesh.faces), "seconds": seconds}
    report(f"wrote {out}: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces", machine, options.json)
