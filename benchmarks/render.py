"""From model files to records without Blender: objects a second of one core, stage by stage, OpenGL and rays.

CPU seconds of one process, which other work on the machine changes less than wall seconds. Models: what the
package makes itself, and those KayKit packs and Sweet Home 3D libraries that are there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.common import Report, Row, arguments
from enpointe.core.errors import DeviceError
from enpointe.data.assets import Asset
from enpointe.data.build import filters
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.convert import convert_asset
from enpointe.data.build.fuse import fuse
from enpointe.data.shards import descriptors
from enpointe.data.shards.records import webp
from enpointe.data.sources import open_source
from enpointe.data.sources.sweethome3d import DEBIAN_FOLDER
from enpointe.render.camera import random_cameras
from enpointe.render.renderers.gl import GlRenderer
from enpointe.render.renderers.raster import RasterRenderer
from enpointe.render.renderers.rays import RayRenderer

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
KAYKIT = Path(__file__).resolve().parents[2] / "shared" / "data" / "kaykit"


class Clock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - start


def stages(name: str, assets: list[Asset], size: int) -> Row:
    """What the steps of making a record take, each by itself; images by what there is."""
    clock, rng = Clock(), np.random.default_rng(0)
    with RasterRenderer() as renderer:
        renderer.render(assets[0].load().normalized(), random_cameras(1, rng, size=size))
        for asset in assets:
            with clock("load"):
                model = asset.load().normalized()
            with clock("render"):
                views = renderer.render(model, random_cameras(20, rng, size=size))
            with clock("fuse"):
                cloud = fuse(views)
            with clock("filter, describe"):
                filters.coverage(views)
                filters.thickness(cloud.points)
                filters.unseen_share(model, cloud.points, rng)
                descriptors.descriptor(cloud.points, cloud.colors / 255)
            with clock("images to WebP"):
                for view in views:
                    webp(view.color)
    return {"models": name, **{stage: total / len(assets) for stage, total in clock.seconds.items()}}


def whole(name: str, assets: list[Asset], size: int) -> Row:
    """As a build's worker does it, from file to encoded record."""
    config = BuildConfig("raster", size=size)
    with RasterRenderer() as renderer:
        convert_asset(assets[0], renderer, config)
        start = time.process_time()
        made = [convert_asset(asset, renderer, config)[0].status for asset in assets]
        seconds = (time.process_time() - start) / len(assets)
    return {
        "models": name, "objects": len(made), "kept": made.count("kept"), "CPU s an object": seconds,
        "objects / s": 1 / seconds, "renderer": renderer.name,
    }  # fmt: skip


def by_faces(assets: list[Asset], size: int) -> list[Row]:
    """20 images by either backend, of models in groups by their number of faces."""
    groups: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    cameras = random_cameras(20, np.random.default_rng(0), size=size)
    with GlRenderer() as gl, RayRenderer() as rays:
        for asset in assets:
            model = asset.load().normalized()
            faces = len(model.triangles)
            gl_seconds, ray_seconds = (_cpu(partial(way.render, model, cameras)) for way in (gl, rays))
            bound = next((n for n in (500, 1000, 2000, 4000, 8000) if faces < n), None)
            groups["more" if bound is None else f"under {bound:,}"].append((faces, gl_seconds, ray_seconds))
    rows: list[Row] = []
    for name, found in sorted(groups.items(), key=lambda item: item[1][0][0]):
        faces, gl_mean, ray_mean = np.mean(found, axis=0)
        rows.append({"faces": name, "models": len(found), "mean faces": faces, "gl s": gl_mean, "rays s": ray_mean})
    return rows


def _cpu(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def collections(options: argparse.Namespace, count: int) -> dict[str, list[Asset]]:
    """`count` models of each collection that is there, from all over it."""
    found = {"procedural": list(open_source("procedural", limit=count))}
    for name, path in (("kaykit", options.kaykit), ("sweethome3d", options.sweethome3d)):
        if path.is_dir():
            assets = list(open_source(name, path))
            found[name] = assets[:: max(1, len(assets) // count)][:count]
    return found


def main() -> None:
    # A second thread of NumPy's products spins after each of them: a build's workers have none.
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        os.execve(sys.executable, sys.orig_argv, os.environ | dict.fromkeys(ONE_THREAD, "1"))
    parser = arguments(__doc__)
    parser.set_defaults(cores=1)
    parser.add_argument("--kaykit", type=Path, default=KAYKIT, metavar="DIR")
    parser.add_argument("--sweethome3d", type=Path, default=DEBIAN_FOLDER, metavar="DIR")
    parser.add_argument("--models", type=int, default=40, help="of each collection")
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    options = parser.parse_args()
    report = Report("render", options)
    size = 64 if options.quick else options.size
    found = collections(options, 2 if options.quick else options.models)
    report.table(
        f"models to records, 20 views of {size} x {size}", [whole(name, assets, size) for name, assets in found.items()]
    )
    report.table("CPU s an object by stages", [stages(name, assets, size) for name, assets in found.items()])
    try:
        report.table("20 images, by faces", by_faces(list(chain.from_iterable(found.values())), size))
    except DeviceError as error:
        report.note("20 images, by faces", str(error))
    if not options.quick:
        for row in report.tables[f"models to records, 20 views of {size} x {size}"]:
            rate = float(row["objects / s"])
            report.target(f"{row['models']}: objects a second of a core, all steps", rate, 3, "a second", at_least=True)
    report.save()


if __name__ == "__main__":
    main()
