"""`enpointe data build --source`: from 3D files to shards of records."""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.cli.fields import add_fields, flag, given
from enpointe.core.errors import InputError
from enpointe.core.options import options_of
from enpointe.core.progress import ProgressBar
from enpointe.data.build.config import BuildConfig, Thresholds
from enpointe.data.build.workers import Limits
from enpointe.data.shards.features import FEATURES
from enpointe.data.sources import SOURCES, open_source
from enpointe.render.renderers import RENDERERS

if TYPE_CHECKING:
    from enpointe.data.build.build import BuildSummary, ConvertAssets
    from enpointe.data.build.convert import OpenRenderer

RENDERER, BUCKET_BY = "raster", "cloud"
"""What is used by default."""
GIGABYTE = 2**30


def add_options(group: opt.Options, shared: frozenset[str]) -> list[str]:
    """The options of shards alone, and their names. None has a default here, so that those given are known.

    Args:
        shared: the names of options that `data build` has without --source, too.
    """
    added = [
        group.add_argument("--source", choices=tuple(SOURCES), help="where the models come from"),
        group.add_argument("--path", metavar="DIR", help="the source's folder (default: where Debian puts it)"),
        group.add_argument("--limit", type=opt.whole(1, 10**9), metavar="N", help="only so many models"),
        group.add_argument("--renderer", choices=tuple(RENDERERS), help=f"what makes the views (default: {RENDERER})"),
        group.add_argument(
            "--lit", type=opt.whole(1, 4096), metavar="SAMPLES", help="also views under lights (Blender only)"
        ),
        group.add_argument(
            "--resume", action="store_true", default=None, help="go on with a build begun with the same options"
        ),
        group.add_argument(
            "--work", metavar="DIR",
            help="a local folder for what is under way (default: in --out; needed if that is a URL)",
        ),
        group.add_argument(
            "--asset-seconds", type=opt.real(1, 86_400), metavar="S",
            help=f"time that one model may take (default: {Limits.seconds:g})",
        ),
        group.add_argument(
            "--asset-memory", type=opt.real(0.5, 1024), metavar="GB",
            help=f"memory that one model may take (default: {Limits.memory / GIGABYTE:g})",
        ),
        group.add_argument(
            "--ray", metavar="ADDRESS",
            help="work on all machines of a Ray cluster (auto, or HOST:PORT of its head), in place of --workers",
        ),
        group.add_argument(
            "--buckets", type=opt.whole(1, 10_000), metavar="K",
            help="also sort the records into K buckets to be weighted",
        ),
        group.add_argument(
            "--bucket-by", choices=tuple(FEATURES),
            help=f"likeness of clouds, or by the joint model (default: {BUCKET_BY})",
        ),
    ]  # fmt: skip
    names = [action.dest for action in added]
    names += add_fields(group, BuildConfig)
    names += add_fields(group, Thresholds)
    own = shared.union(names)  # a source's option of such a name is the same option
    owners = defaultdict(list)
    for source, kind in SOURCES.items():
        names += add_fields(group, kind, without=shared.union(names), where=f"source {source}: ")
        for name in options_of(kind).keys() - own:
            owners[name].append(source)
    group.set_defaults(source_options=owners)
    return names


def run(options: argparse.Namespace) -> None:
    if options.ray is not None and options.workers is not None:
        raise InputError("argument --ray: expected without --workers")
    if options.bucket_by is not None and options.buckets is None:
        raise InputError("argument --bucket-by: expected only with --buckets")
    if "://" in options.out and options.work is None:
        raise InputError("argument --work: expected a local folder, as --out is a URL")
    _check_source_options(options)
    open_renderer = _open_renderer(options)
    features = FEATURES[options.bucket_by or BUCKET_BY]()  # a model is opened before anything is built
    start = time.perf_counter()
    built = _build(options, open_renderer)
    if options.buckets is not None:
        from enpointe.data.shards.buckets import write_buckets

        write_buckets(options.out, min(options.buckets, built.index.records), features=features, seed=options.seed)
    _report(options, built, time.perf_counter() - start)


def _build(options: argparse.Namespace, open_renderer: OpenRenderer) -> BuildSummary:
    from enpointe.data.build.build import build_shards

    # Other machines of a cluster read there, too.
    path = None if options.path is None else Path(options.path).absolute()
    source = open_source(options.source, path, **given(options, SOURCES[options.source]))
    memory = Limits.memory if options.asset_memory is None else int(options.asset_memory * GIGABYTE)
    limits = Limits(seconds=options.asset_seconds or Limits.seconds, memory=memory)
    with _convert_assets(options) as convert_assets, ProgressBar() as bar:
        return build_shards(
            source,
            options.out,
            open_renderer,
            _config(options),
            workers=options.workers or os.cpu_count() or 1,
            resume=bool(options.resume),
            limit=options.limit,
            work=options.work,
            limits=limits,
            progress=bar,
            convert_assets=convert_assets,
        )


def _config(options: argparse.Namespace) -> BuildConfig:
    return BuildConfig(
        renderer=f"{options.renderer or RENDERER}{f', lit by {options.lit} samples' if options.lit else ''}",
        points=options.points,
        seed=options.seed,
        thresholds=Thresholds(**given(options, Thresholds)),
        **given(options, BuildConfig),
    )


def _check_source_options(options: argparse.Namespace) -> None:
    """InputError where an option of other sources than the chosen one is given."""
    for name, sources in options.source_options.items():
        if options.source not in sources and getattr(options, name) is not None:
            raise InputError(f"argument {flag(name)}: expected only with --source {' or '.join(sources)}")


def _open_renderer(options: argparse.Namespace) -> OpenRenderer:
    cores = os.cpu_count() or 1
    threads = 1 if options.ray is not None else max(1, cores // (options.workers or cores))
    kind = RENDERERS[name := options.renderer or RENDERER]
    if options.lit and not kind.lights:
        raise InputError(f"argument --lit: expected a renderer that has lights, found {name}")
    return partial(kind.for_views, lit_samples=options.lit or 0, threads=threads)


def _convert_assets(options: argparse.Namespace) -> AbstractContextManager[ConvertAssets | None]:
    if options.ray is None:
        return nullcontext()
    from enpointe.data.build.ray import on_ray

    return on_ray(options.ray)


def _report(options: argparse.Namespace, built: BuildSummary, seconds: float) -> None:
    counts, megabytes = built.index.counts, sum(shard.bytes for shard in built.index.shards) / 1e6
    if counts["failed"]:
        warn(f"{counts['failed']} of {counts['listed']} models failed; see failures.jsonl")
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
