"""`enpointe view FILE`: a page to turn a cloud or mesh with the mouse, and a picture of its sides."""

from __future__ import annotations

import argparse
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.cli.files import (
    CLOUD_SUFFIXES,
    MESH_SUFFIXES,
    has_faces,
    input_file,
    output_file,
    read_cloud,
    read_mesh,
)
from enpointe.core.files import check_file, writing


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "view", help="look at a cloud or a mesh", allow_abbrev=False,
        description="Writes a page that opens in any browser without a network, and a picture of the turned views.",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="a cloud (.ply, .npz) or a mesh (.glb, .ply, .obj)")
    parser.add_argument(
        "--out", metavar="FILE", help="an .html file; a .png goes beside it (default: <FILE>-view.html)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    source = input_file(options.file, tuple(dict.fromkeys(CLOUD_SUFFIXES + MESH_SUFFIXES)))
    page = output_file(options, source, "-view.html", (".html",))
    picture = check_file(page.with_suffix(".png"))
    from enpointe.io import export
    from enpointe.render import plot, viewer

    is_mesh = has_faces(source)
    cloud = None if is_mesh else read_cloud(source)
    mesh = read_mesh(source) if is_mesh else None
    with writing(page):
        if cloud is not None:
            export.save_image(plot.views(cloud), picture)
        elif mesh is not None:
            export.save_image(plot.views(mesh), picture)
        viewer.save_viewer(page, cloud=cloud, mesh=mesh, title=source.name)
    report(f"wrote {page} and {picture}", {"page": str(page), "picture": str(picture)}, options.json)
    if options.open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
