"""`enpointe data show`, `build` and `check`: look at the training data, or make it ahead (see also `shards`)."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.cli import options as opt
from enpointe.cli import shards
from enpointe.cli.console import report, warn
from enpointe.core.errors import InputError
from enpointe.core.files import check_file, writing

if TYPE_CHECKING:
    from enpointe.data.assets import Asset

MAX_CLOUDS = 1_000_000
_OF_POOLS = ("clouds", "queries", "kaykit", "sweethome")
BYTES_PER_POINT, BYTES_PER_QUERY, BYTES_PER_CLOUD, BYTES_PER_MODEL = 7, 8, 100, 1000
"""Room that a pool takes; the last two are for a cloud's words, and a model's colours and names, mostly fewer."""


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser("data", help="look at the training data, or make it", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    show = actions.add_parser(
        "show", help="write a contact sheet", allow_abbrev=False,
        description="Writes a picture of things of each procedural family, or of a pool's, with their captions; or "
        "of SHARDS a page with pictures, captions and clouds to turn.",
    )  # fmt: skip
    which = show.add_mutually_exclusive_group()
    which.add_argument("shards", nargs="?", metavar="SHARDS", help="a folder of shards, or an fsspec URL")
    which.add_argument(
        "--family", action="append", metavar="NAME", help="only this one; may be repeated (default: all)"
    )
    which.add_argument("--data", metavar="FILE", help="random objects of this pool, half of them real models if it can")
    show.add_argument(
        "--out", metavar="FILE", help="a .png file (default: out/data.png), of shards an .html (out/shards.html)"
    )
    show.add_argument("--n", type=opt.whole(1, 2000), metavar="N", help="records of shards to show (default: 60)")
    _add_seed_and_json(show)
    show.set_defaults(run=run_show)

    build = actions.add_parser(
        "build", help="make clouds ahead", allow_abbrev=False,
        description="Without --source: samples procedural things, with signed distances, and real models, without, "
        "into a file for 'enpointe train --data'. With --source: renders 3D models, fuses their views into clouds, "
        "filters them and writes shards.",
    )  # fmt: skip
    build.add_argument("--out", required=True, metavar="FILE", help="a .safetensors file; with --source, see below")
    build.add_argument(
        "--clouds", type=opt.whole(1, MAX_CLOUDS), metavar="N",
        help="how many (default: 1200, which makes 44 MB)",
    )  # fmt: skip
    build.add_argument(
        "--points", type=opt.whole(64, 16_384), default=4096, metavar="P",
        help=f"points of each cloud, {BYTES_PER_POINT} bytes apiece (default: 4096, as many as pocket-up needs)",
    )  # fmt: skip
    build.add_argument(
        "--queries", type=opt.whole(16, 16_384), metavar="Q",
        help=f"signed distances of each cloud, {BYTES_PER_QUERY} bytes apiece (default: 1024; pocket-sdf needs 512)",
    )  # fmt: skip
    build.add_argument(
        "--kaykit", action="append", default=[], metavar="DIR",
        help="also the models of the KayKit packs in this folder; may be repeated",
    )  # fmt: skip
    build.add_argument(
        "--sweethome", action="append", nargs="?", default=[], metavar="DIR",
        help="also the models of the Sweet Home 3D libraries in this folder (default: where Debian's package "
        "sweethome3d-furniture puts them); may be repeated",
    )  # fmt: skip
    build.add_argument("--workers", type=opt.whole(1, 1024), metavar="W", help="processes (default: one a core)")
    _add_seed_and_json(build)
    shards.add_build_options(build)
    build.set_defaults(run=run_build)
    shards.add_check_parser(actions)


def _add_seed_and_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S", help="default: 0")
    opt.add_json(parser)


def run_show(options: argparse.Namespace) -> None:
    if options.shards is not None:
        shards.run_show(options)
        return
    if options.n is not None:
        raise InputError("argument --n: expected with SHARDS only")
    out = Path(options.out or "out/data.png")
    if out.suffix.lower() != ".png":
        raise InputError(f"argument --out: expected a file ending in .png, got {options.out!r}")
    from enpointe.cli import contact_sheet
    from enpointe.data.pools import pool
    from enpointe.data.procedural.families import FAMILIES
    from enpointe.io.png import save_image

    names = [] if options.data else options.family or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise InputError(f"argument --family: expected one of {', '.join(FAMILIES)}, got {name!r}")
    objects = pool.read(Path(options.data)) if options.data else None
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        check_file(out)
    if objects is not None:
        examples = contact_sheet.of_pool(objects, options.seed)
        shown = f"{len(examples)} of {len(objects)} objects, {len(objects.models)} of them real models"
        machine = {"file": str(out), "objects": len(objects), "models": len(objects.models), "shown": len(examples)}
    else:
        examples = contact_sheet.of_families(names, options.seed)
        shown, machine = f"{len(names)} families", {"file": str(out), "families": names}
    sheet = contact_sheet.contact_sheet(examples)
    with writing(out):
        save_image(sheet, out)
    report(f"wrote {out}: {shown}", machine, options.json)


def run_build(options: argparse.Namespace) -> None:
    vain = _OF_POOLS if options.source is not None else shards.ONLY_WITH_SOURCE
    for name in vain:
        if getattr(options, name) not in (None, []):
            only = "without" if options.source is not None else "with"
            raise InputError(f"argument --{name.replace('_', '-')}: expected only {only} --source")
    if options.source is not None:
        shards.run_build(options)
        return
    n_clouds, n_queries = options.clouds or 1200, options.queries or 1024
    out = Path(options.out)
    if out.suffix.lower() != ".safetensors":
        raise InputError(f"argument --out: expected a file ending in .safetensors, got {options.out!r}")
    models = _real_models(options)
    cloud = options.points * BYTES_PER_POINT + n_queries * BYTES_PER_QUERY + BYTES_PER_CLOUD
    check_file(out, (n_clouds + len(models)) * cloud + len(models) * BYTES_PER_MODEL)
    from tqdm import tqdm

    from enpointe.data.pools import pool

    start = time.perf_counter()
    with (
        writing(out),
        tqdm(total=n_clouds + len(models), desc="clouds", leave=False, disable=None, file=sys.stderr) as bar,
    ):
        left_out = pool.build(
            out,
            n_clouds=n_clouds,
            n_points=options.points,
            n_queries=n_queries,
            workers=options.workers,
            seed=options.seed,
            models=models,
            progress=lambda done: bar.update(done - bar.n),
        )
    seconds = time.perf_counter() - start
    megabytes = out.stat().st_size / 1e6
    machine = {
        "file": str(out),
        "clouds": n_clouds,
        "models": len(models) - len(left_out),
        "left_out": left_out,
        "points": options.points,
        "queries": n_queries,
        "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 3),
    }
    for reason in left_out:
        warn(f"left out {reason}")
    made = f"{n_clouds} clouds" + (f" and {machine['models']} real models" if models else "")
    report(f"wrote {out}: {made}, {megabytes:.1f} MB, in {seconds:.0f} s", machine, options.json)


def _real_models(options: argparse.Namespace) -> list[Asset]:
    from enpointe.data.sources.kaykit import kaykit
    from enpointe.data.sources.sweethome import DEBIAN_FOLDER, sweethome

    models = [asset for folder in options.kaykit for asset in kaykit(Path(folder))]
    return models + [asset for folder in options.sweethome for asset in sweethome(Path(folder or DEBIAN_FOLDER))]
