"""`enpointe data show` and `enpointe data build`: look at the procedural data, or make it ahead."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.output import check_file, writing
from enpointe.cli.progress import report
from enpointe.errors import InputError

COLUMNS = 6
MAX_CLOUDS = 1_000_000
BYTES_PER_POINT, BYTES_PER_QUERY, BYTES_PER_CLOUD = 7, 8, 100
"""Room that a pool takes; the last is for a cloud's words, which are mostly fewer."""


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser("data", help="look at the training data, or make it", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    show = actions.add_parser(
        "show", help="write a contact sheet", allow_abbrev=False,
        description=f"Writes a picture with {COLUMNS} things of each procedural family and their captions.",
    )  # fmt: skip
    show.add_argument("--family", action="append", metavar="NAME", help="only this one; may be repeated (default: all)")
    show.add_argument("--out", default="out/data.png", metavar="FILE", help="a .png file (default: out/data.png)")
    _add_seed_and_json(show)
    show.set_defaults(run=run_show)

    build = actions.add_parser(
        "build", help="sample clouds ahead into one file", allow_abbrev=False,
        description="Samples procedural things, with signed distances, into a file for 'enpointe train --data'.",
    )  # fmt: skip
    build.add_argument("--out", required=True, metavar="FILE", help="a .safetensors file")
    build.add_argument(
        "--clouds", type=opt.whole(1, MAX_CLOUDS), default=1200, metavar="N",
        help="how many (default: 1200, which makes 44 MB)",
    )  # fmt: skip
    build.add_argument(
        "--points", type=opt.whole(64, 16_384), default=4096, metavar="P",
        help=f"points of each cloud, {BYTES_PER_POINT} bytes apiece (default: 4096, as many as pocket-up needs)",
    )  # fmt: skip
    build.add_argument(
        "--queries", type=opt.whole(16, 16_384), default=1024, metavar="Q",
        help=f"signed distances of each cloud, {BYTES_PER_QUERY} bytes apiece (default: 1024; pocket-sdf needs 256)",
    )  # fmt: skip
    build.add_argument("--workers", type=opt.whole(1, 1024), metavar="W", help="processes (default: one a core)")
    _add_seed_and_json(build)
    build.set_defaults(run=run_build)


def _add_seed_and_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S", help="default: 0")
    opt.add_json(parser)


def run_show(options: argparse.Namespace) -> None:
    out = Path(options.out)
    if out.suffix.lower() != ".png":
        raise InputError(f"argument --out: expected a file ending in .png, got {options.out!r}")
    from enpointe.datagen.procedural.families import FAMILIES
    from enpointe.geometry import export

    names = options.family or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise InputError(f"argument --family: expected one of {', '.join(FAMILIES)}, got {name!r}")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        check_file(out)
    sheet = contact_sheet(names, options.seed)
    with writing(out):
        export.save_image(sheet, out)
    report(f"wrote {out}: {len(names)} families", {"file": str(out), "families": names}, options.json)


def contact_sheet(names: Sequence[str], seed: int) -> Any:
    """(rows, width, 3) uint8: a row of COLUMNS captioned pictures for each family."""
    import textwrap

    import numpy as np
    from PIL import Image, ImageDraw

    from enpointe.datagen.captions import caption, draw_paint
    from enpointe.datagen.procedural.colours import shade
    from enpointe.datagen.procedural.families import FAMILIES
    from enpointe.datagen.procedural.sampling import sample_surface
    from enpointe.geometry.plot import splat

    side, margin = 200, 44
    sheet = Image.new("RGB", (COLUMNS * side, len(names) * (side + margin)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        family = FAMILIES[name]
        for column in range(COLUMNS):
            rng = np.random.default_rng([seed, row, column])
            recipe, paint = family.recipe(rng), draw_paint(family, rng)
            surface = sample_surface(recipe, 4096, rng)
            worn = [recipe.parts[part].slot for part in surface.part]
            rgb = {slot.name: shade(paint[slot.name], rng) for slot in family.slots}
            colors = np.array([rgb[slot] for slot in worn])
            words = caption(family, paint, set(worn), recipe.adjectives, recipe.phrases, rng)
            x, y = column * side, row * (side + margin)
            sheet.paste(Image.fromarray(splat(surface.points, colors, 35 - 70 * (column % 2), 20, side)), (x, y))
            draw.text((x + 4, y + side), textwrap.fill(words, 31), fill="black")
    return np.asarray(sheet)


def run_build(options: argparse.Namespace) -> None:
    out = Path(options.out)
    if out.suffix.lower() != ".safetensors":
        raise InputError(f"argument --out: expected a file ending in .safetensors, got {options.out!r}")
    check_file(
        out, options.clouds * (options.points * BYTES_PER_POINT + options.queries * BYTES_PER_QUERY + BYTES_PER_CLOUD)
    )
    from tqdm import tqdm

    from enpointe.datagen import pool

    start = time.perf_counter()
    with (
        writing(out),
        tqdm(total=options.clouds, desc="clouds", leave=False, disable=None, file=sys.stderr) as bar,
    ):
        pool.build(
            out,
            n_clouds=options.clouds,
            n_points=options.points,
            n_queries=options.queries,
            workers=options.workers,
            seed=options.seed,
            progress=lambda done: bar.update(done - bar.n),
        )
    seconds = time.perf_counter() - start
    megabytes = out.stat().st_size / 1e6
    machine = {
        "file": str(out),
        "clouds": options.clouds,
        "points": options.points,
        "queries": options.queries,
        "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 3),
    }
    report(f"wrote {out}: {options.clouds} clouds, {megabytes:.1f} MB, in {seconds:.0f} s", machine, options.json)
