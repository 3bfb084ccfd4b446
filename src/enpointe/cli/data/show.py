"""`enpointe data show`: a contact sheet of procedural families, of a pool, or of shards."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.core.errors import InputError
from enpointe.core.files import check_file, writing

if TYPE_CHECKING:
    from enpointe.data.example import Example

COLUMNS, ROWS = 6, 8
SIDE, CAPTION = 200, 44
"""Pixels of an image, and of the room for its caption."""
CHARACTERS = 31
"""That a line of a caption holds."""


def add_parser(actions: opt.Commands[Any]) -> None:
    parser = actions.add_parser(
        "show", help="write a contact sheet", allow_abbrev=False,
        description="Writes an image of objects of each procedural family, or of a pool's, with their captions; or "
        "of SHARDS a page with images, captions and clouds to turn.",
    )  # fmt: skip
    which = parser.add_mutually_exclusive_group()
    which.add_argument("shards", nargs="?", metavar="SHARDS", help="a folder of shards, or an fsspec URL")
    which.add_argument(
        "--family", action="append", metavar="NAME", help="only this one; may be repeated (default: all)"
    )
    which.add_argument("--data", metavar="FILE", help="random objects of this pool, half of them real models if it can")
    parser.add_argument(
        "--out", metavar="FILE", help="a .png file (default: out/data.png), of shards an .html (out/shards.html)"
    )
    parser.add_argument("--n", type=opt.whole(1, 2000), metavar="N", help="records of shards to show (default: 60)")
    parser.add_argument("--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S", help="default: 0")
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.shards is not None:
        _show_shards(options, _output(options, "out/shards.html"))
        return
    if options.n is not None:
        raise InputError("argument --n: expected with SHARDS only")
    out = _output(options, "out/data.png")
    if options.data is not None:
        _show_pool(options, out)
    else:
        _show_families(options, out)


def _show_families(options: argparse.Namespace, out: Path) -> None:
    from enpointe.data import preview
    from enpointe.data.procedural.families import FAMILIES

    names = options.family or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise InputError(f"argument --family: expected one of {', '.join(FAMILIES)}, found {name!r}")
    _check(out)
    _save_sheet(preview.of_families(names, COLUMNS, options.seed), out)
    shown = f"{len(names)} {'family' if len(names) == 1 else 'families'}"
    report(f"wrote {out}: {shown}", {"file": str(out), "families": names}, options.json)


def _show_pool(options: argparse.Namespace, out: Path) -> None:
    from enpointe.data import preview
    from enpointe.data.pools import pool

    objects = pool.read(Path(options.data))
    _check(out)
    chosen = preview.of_pool(objects, COLUMNS * ROWS, options.seed)
    _save_sheet(chosen, out)
    machine = {"file": str(out), "objects": len(objects), "models": len(objects.models), "shown": len(chosen)}
    shown = f"{len(chosen)} of {len(objects)} objects, {len(objects.models)} of them real models"
    report(f"wrote {out}: {shown}", machine, options.json)


def _save_sheet(examples: Sequence[Example], out: Path) -> None:
    """Examples with their captions, seen from the left and from the right in alternation."""
    from enpointe.io.png import save_image
    from enpointe.render.contact_sheet import contact_sheet
    from enpointe.render.software.splats import splat

    images = [
        splat(example.points, example.colors, 35 - 70 * (i % COLUMNS % 2), 20, SIDE)
        for i, example in enumerate(examples)
    ]
    captions = [textwrap.fill(example.caption, CHARACTERS) for example in examples]
    with writing(out):
        save_image(contact_sheet(images, captions, columns=COLUMNS, caption_height=CAPTION), out)


def _show_shards(options: argparse.Namespace, out: Path) -> None:
    from enpointe.data.shards.contact_page import save_page

    _check(out)
    shown = save_page(options.shards, out, n=options.n or 60, seed=options.seed)
    report(f"wrote {out}: {shown} records", {"file": str(out), "shown": shown}, options.json)


def _output(options: argparse.Namespace, default: str) -> Path:
    """Where to write, a file that ends as the default one does."""
    out = Path(options.out or default)
    if out.suffix.lower() != (suffix := Path(default).suffix):
        raise InputError(f"argument --out: expected a file ending in {suffix}, found {options.out!r}")
    return out


def _check(out: Path) -> None:
    """Before anything is drawn: the folder is there, and the file can be written."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        check_file(out)
