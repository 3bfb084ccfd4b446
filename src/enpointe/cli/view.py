"""`enpointe view FILE`: a page to turn a cloud or mesh with the mouse, and an image of its sides."""

from __future__ import annotations

import argparse
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.cli.files import input_file, output_file
from enpointe.core.files import check_file, writing


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "view", allow_abbrev=False,
        description="Writes a page that opens in any browser without a network, and an image of the turned views.",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="a cloud or a mesh, such as a .ply, .npz, .glb or .obj file")
    parser.add_argument(
        "--out", metavar="FILE", help="an .html file; a .png goes beside it (default: <FILE>-view.html)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    source = input_file(options.file, "read_cloud", "read_model")
    page = output_file(options, source, "-view.html", (".html",))
    image = check_file(page.with_suffix(".png"))
    from enpointe.geometry.mesh import Mesh
    from enpointe.io import formats
    from enpointe.io.png import save_image
    from enpointe.render import viewer
    from enpointe.render.software.orthographic import views

    shape = formats.load(source)
    with writing(page):
        save_image(views(shape), image)
        if isinstance(shape, Mesh):
            viewer.save_viewer(page, mesh=shape, title=source.name)
        else:
            viewer.save_viewer(page, cloud=shape, title=source.name)
    report(f"wrote {page} and {image}", {"page": str(page), "image": str(image)}, options.json)
    if options.open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
