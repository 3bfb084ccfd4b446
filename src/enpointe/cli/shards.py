"""`enpointe data build --source`, `show SHARDS` and `check`: from 3D files to training data, and a look at it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.core.errors import InputError
from enpointe.core.files import check_file, writing

if TYPE_CHECKING:
    from enpointe.data.build.build import MakeAssets
    from enpointe.data.build.maker import OpenRenderer, Recipe
    from enpointe.data.shards.buckets import Features

SOURCES = ("folder", "sweethome3d", "kaykit", "0ad", "procedural")
RENDERERS = ("raster", "blender")
BUCKET_BY = ("cloud", "joint")
MAX_VIEWS, MIN_SIZE, MAX_SIZE = 200, 16, 2048
ONLY_WITH_SOURCE = (
    "path", "captions", "licence", "creator", "renderer", "lit", "views", "size", "resume", "limit", "work", "ray",
    "buckets", "bucket_by", "asset_seconds", "asset_memory", "flat", "empty", "unseen", "duplicate",
)  # fmt: skip


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Those of a build of shards; none has a default here, so that one given in vain is told."""
    group = parser.add_argument_group("shards (with --source)")
    group.add_argument("--source", choices=SOURCES, help="where the models come from; --out is then a folder of shards")
    group.add_argument("--path", metavar="DIR", help="the source's folder (default: where Debian puts it)")
    group.add_argument("--captions", metavar="FILE", help="captions of a folder's models, .csv or .jsonl (Cap3D's too)")
    group.add_argument("--licence", metavar="ID", help="of a folder's models, where no table says it")
    group.add_argument("--creator", metavar="NAME", help="of a folder's models, where no table says it")
    group.add_argument("--renderer", choices=RENDERERS, help="what makes the views (default: raster)")
    group.add_argument("--views", type=opt.whole(1, MAX_VIEWS), metavar="N", help="of each model (default: 20)")
    group.add_argument(
        "--size", type=opt.whole(MIN_SIZE, MAX_SIZE), metavar="PIXELS", help="side of a view (default: 512)"
    )
    group.add_argument(
        "--lit", type=opt.whole(1, 4096), metavar="SAMPLES", help="also pictures under lights (Blender only)"
    )
    group.add_argument("--limit", type=opt.whole(1, 10**9), metavar="N", help="only so many models")
    group.add_argument(
        "--resume", action="store_true", default=None, help="go on with a build that was begun with the same options"
    )
    group.add_argument(
        "--work",
        metavar="DIR",
        help="a local folder for what is under way (default: in --out; needed if that is a URL)",
    )
    group.add_argument(
        "--asset-seconds", type=opt.real(1, 86_400), metavar="S", help="time that one model may take (default: 300)"
    )
    group.add_argument(
        "--asset-memory", type=opt.real(0.5, 1024), metavar="GB", help="memory that one model may take (default: 4)"
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on all machines of a Ray cluster (auto, or HOST:PORT of its head), in place of --workers",
    )
    group.add_argument("--flat", type=opt.real(0, 1), metavar="X", help="drop models thinner than this")
    group.add_argument("--empty", type=opt.real(0, 1), metavar="X", help="drop models that cover less of their views")
    group.add_argument("--unseen", type=opt.real(0, 1), metavar="X", help="drop models of which more is unseen")
    group.add_argument("--duplicate", type=opt.real(0, 2), metavar="X", help="drop models nearer to another one")
    group.add_argument(
        "--buckets", type=opt.whole(1, 10_000), metavar="K", help="also sort the records into K buckets to be weighed"
    )
    group.add_argument(
        "--bucket-by", choices=BUCKET_BY, help="likeness of clouds, or of pictures to the joint model (default: cloud)"
    )


def add_check_parser(actions: opt.Commands[Any]) -> None:
    check = actions.add_parser(
        "check", help="read every record of a set of shards", allow_abbrev=False,
        description="Reads every record of a set of shards: hashes, counts, pictures, licences. Damage is exit code 2.",
    )  # fmt: skip
    check.add_argument("shards", metavar="SHARDS", help="a folder or an fsspec URL")
    opt.add_json(check)
    check.set_defaults(run=run_check)


def run_build(options: argparse.Namespace) -> None:
    """A build with --source."""
    if options.ray is not None and options.workers is not None:
        raise InputError("argument --ray: expected without --workers")
    recipe = _recipe(options)
    open_renderer = _renderer(options)
    local = "://" not in options.out
    if not local and options.work is None:
        raise InputError("argument --work: expected a local folder, as --out is a URL")
    features = _features(options)
    from tqdm import tqdm

    from enpointe.data.build.build import build_shards
    from enpointe.data.build.workers import Limits
    from enpointe.data.sources.registry import open_source

    procedural = options.source == "procedural"
    source = open_source(
        options.source,
        Path(options.path).absolute() if options.path is not None else None,  # other machines read there, too
        captions=_captions(options),
        licence=options.licence or "unknown",
        creator=options.creator or "unknown",
        limit=options.limit if procedural else None,
        seed=options.seed,
    )
    limits = Limits(seconds=options.asset_seconds or 300.0, memory=int((options.asset_memory or 4.0) * 2**30))
    start = time.perf_counter()
    with _make_assets(options) as make_assets, tqdm(desc="models", leave=False, disable=None, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        built = build_shards(
            source,
            options.out,
            open_renderer,
            recipe,
            workers=options.workers or os.cpu_count() or 1,
            resume=bool(options.resume),
            limit=options.limit,
            work=options.work,
            limits=limits,
            progress=progress,
            make_assets=make_assets,
        )
    if options.buckets is not None:
        from enpointe.data.shards.buckets import write_buckets

        write_buckets(options.out, min(options.buckets, built.index.records), features=features, seed=options.seed)
    seconds = time.perf_counter() - start
    counts, megabytes = built.index.counts, sum(shard.bytes for shard in built.index.shards) / 1e6
    if counts["failed"]:
        warn(f"{counts['failed']} of {counts['listed']} models failed; failures.jsonl says why")
    machine = {
        "shards": options.out, **counts, "dropped_for": dict(built.dropped), "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 3),
    }  # fmt: skip
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(built.dropped.items())) or "none"
    report(
        f"wrote {options.out}: {counts['kept']} of {counts['listed']} models in {len(built.index.shards)} shards, "
        f"{megabytes:.1f} MB, in {seconds:.0f} s; dropped: {dropped}; failed: {counts['failed']}",
        machine,
        options.json,
    )


def _features(options: argparse.Namespace) -> Features:
    """What buckets are found by. The model is opened before anything is built."""
    from enpointe.data.shards.buckets import cloud_features, picture_features

    if options.bucket_by is not None and options.buckets is None:
        raise InputError("argument --bucket-by: expected only with --buckets")
    if options.bucket_by != "joint":
        return cloud_features
    import torch

    from enpointe.checkpoints.embedded import load_joint

    return picture_features(load_joint(torch.device("cpu")).encode_pictures)


def _recipe(options: argparse.Namespace) -> Recipe:
    from enpointe.data.build.filters import Thresholds
    from enpointe.data.build.maker import Recipe

    names = ("flat", "empty", "unseen", "duplicate")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return Recipe(
        renderer=f"{options.renderer or 'raster'}{f', lit by {options.lit} samples' if options.lit else ''}",
        views=options.views or 20,
        size=options.size or 512,
        points=options.points,
        seed=options.seed,
        thresholds=Thresholds(**given),
    )


def _renderer(options: argparse.Namespace) -> OpenRenderer:
    if options.renderer == "blender":
        from enpointe.render.blender.renderer import BlenderRenderer

        cores = os.cpu_count() or 1
        threads = 1 if options.ray is not None else max(1, cores // (options.workers or cores))
        return partial(BlenderRenderer, lit_samples=options.lit or 0, threads=threads)
    if options.lit is not None:
        raise InputError("argument --lit: expected only with --renderer blender")
    from enpointe.render.raster import RasterRenderer

    return RasterRenderer


def _make_assets(options: argparse.Namespace) -> AbstractContextManager[MakeAssets | None]:
    if options.ray is None:
        return nullcontext()
    from enpointe.data.build.ray import on_ray

    return on_ray(options.ray)


def _captions(options: argparse.Namespace) -> Any:
    """The table that --captions names; a value of another source's is told, too."""
    if options.source != "folder":
        for name in ("captions", "licence", "creator"):
            if getattr(options, name) is not None:
                raise InputError(f"argument --{name}: expected only with --source folder")
    if options.captions is None:
        return None
    from enpointe.data.caption_table import read_captions

    return read_captions(Path(options.captions))


def run_show(options: argparse.Namespace) -> None:
    """A contact sheet of SHARDS."""
    out = Path(options.out or "out/shards.html")
    if out.suffix.lower() != ".html":
        raise InputError(f"argument --out: expected a file ending in .html, got {options.out!r}")
    from enpointe.data.shards.contact_page import save_page

    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        check_file(out)
    shown = save_page(options.shards, out, n=options.n or 60, seed=options.seed)
    report(f"wrote {out}: {shown} records", {"file": str(out), "shown": shown}, options.json)


def run_check(options: argparse.Namespace) -> None:
    """Whether SHARDS are whole."""
    from tqdm import tqdm

    from enpointe.data.shards.check import check_shards

    with tqdm(desc="shards", leave=False, disable=None, file=sys.stderr) as bar:
        found = check_shards(options.shards, _update(bar))
    if found.damages:
        more = f" (and {len(found.damages) - 1} more damages)" if len(found.damages) > 1 else ""
        raise InputError(f"{found.damages[0]}{more}")
    if found.unlicensed:
        warn(f"{found.unlicensed} of {found.records} records have no known licence")
    licences = dict(sorted(found.licences.items()))
    machine = {
        "shards": options.shards, "records": found.records, "pictures": found.pictures, "points": found.points,
        "bytes": found.bytes, "licences": licences,
    }  # fmt: skip
    words = ", ".join(f"{count} {name}" for name, count in licences.items())
    report(
        f"{options.shards}: {found.records} records are whole, with {found.pictures} pictures and {found.points} "
        f"points; licences: {words}",
        machine,
        options.json,
    )


def _update(bar: Any) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return progress
