"""Converts an asset to its record: load, render, fuse, filter. It runs in worker processes."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from enpointe import __version__
from enpointe.core.errors import DeviceError, EnpointeError, InputError, OutputError
from enpointe.data.assets import Asset
from enpointe.data.build import filters
from enpointe.data.build.config import BuildConfig
from enpointe.data.build.fuse import FusedCloud, fuse, sampling_method
from enpointe.data.build.outcomes import DROPPED, FAILED, KEPT, Outcome
from enpointe.data.build.staging import Staging
from enpointe.data.shards import descriptors
from enpointe.data.shards.records import Record, StoredView, quantized_normals, quantized_points, record_id, webp
from enpointe.io.assets.model import Model
from enpointe.render.camera import Camera, random_cameras
from enpointe.render.renderers import Renderer
from enpointe.render.view import View

_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")
OpenRenderer = Callable[[], Renderer]
Converted = tuple[Outcome, bytes | None]
"""An asset's outcome, and its encoded record if it is kept."""


@contextmanager
def open_converter(
    open_renderer: OpenRenderer, config: BuildConfig, folder: Path, scratch: Path
) -> Iterator[Callable[[Asset], str]]:
    """Opens a function that converts assets, keeps their records in the staging folder, and returns their status.

    Args:
        folder: the staging folder.
        scratch: where libraries may put temporary files; it outlives this process, which may be killed.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)
    staging = Staging(folder)
    with open_renderer() as renderer:

        def work(asset: Asset) -> str:
            outcome, record = convert_asset(asset, renderer, config)
            staging.save(outcome, record)
            return outcome.status

        yield work


def convert_asset(asset: Asset, renderer: Renderer, config: BuildConfig) -> Converted:
    """An asset's outcome, and its encoded record if it is kept. Nothing that is wrong with an asset raises here.

    Raises:
        DeviceError: the renderer is gone for good.
        OutputError: the disk is full.
    """

    def steps() -> Converted:
        loaded = load(asset, config)
        return finish(loaded, renderer.render(loaded.model, loaded.cameras), renderer.name, config)

    converted = attempt(asset, steps)
    return (converted, None) if isinstance(converted, Outcome) else converted


def attempt(asset: Asset, step: Callable[[], T]) -> T | Outcome:
    """The result of a step, or the outcome of an asset for which it failed; raises what `convert_asset` does."""
    try:
        return step()
    except DeviceError:
        raise
    except EnpointeError as error:
        return failure(asset, str(error))
    except MemoryError:
        return failure(asset, "took more memory than it may")
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(f"{tempfile.gettempdir()}: expected room for temporary files, found none") from error
        return failure(asset, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a bad file, the others go on
        return failure(asset, f"{type(error).__name__}: {error}")


def failure(asset: Asset, reason: str) -> Outcome:
    """The outcome of an asset that could not be converted."""
    return Outcome(status=FAILED, reason=reason, **_attribution(asset))


def captions(asset: Asset) -> tuple[str, ...]:
    """An asset's captions, the closest first, each once."""
    return tuple(dict.fromkeys(words for words in (*asset.captions, asset.name, *asset.nouns) if words))


def _attribution(asset: Asset) -> dict[str, Any]:
    return {
        "key": asset.key, "licence": asset.licence, "creator": asset.creator, "source": asset.source,
        "caption": next(iter(captions(asset)), ""),
    }  # fmt: skip


@dataclass(frozen=True)
class LoadedAsset:
    """An asset ready to be rendered: its model in the unit frame, its cameras, its random numbers."""

    asset: Asset
    model: Model
    cameras: tuple[Camera, ...]
    rng: np.random.Generator


def load(asset: Asset, config: BuildConfig) -> LoadedAsset:
    """The first step. Raises what loading does, and InputError where there is no caption."""
    rng = np.random.default_rng([config.seed, int(record_id(asset.key), 16)])
    if not captions(asset):
        raise InputError("expected a caption, found none")
    model = asset.load().normalized()
    return LoadedAsset(asset, model, random_cameras(config.views, rng, size=config.size), rng)


def finish(loaded: LoadedAsset, views: Sequence[View], renderer: str, config: BuildConfig) -> Converted:
    """The last step: fuse, filter, record. Raises what fusing does."""
    asset, model, rng = loaded.asset, loaded.model, loaded.rng
    figures = filters.Figures(coverage=filters.coverage(views))
    cloud = None
    if figures.coverage >= config.thresholds.empty:
        cloud = fuse(views, config.points, seed=int(rng.integers(2**31)))
        figures = filters.Figures(
            coverage=figures.coverage,
            thickness=filters.thickness(cloud.points),
            unseen=filters.unseen_share(model, cloud.points, rng),
        )
    verdict = filters.judge(figures, config.thresholds)
    if verdict is not None or cloud is None:
        dropped = {} if verdict is None else asdict(verdict)
        return Outcome(status=DROPPED, figures=figures.rounded(), **dropped, **_attribution(asset)), None
    made_by = {"enpointe": __version__, "renderer": renderer, "sampling": sampling_method(), "seed": config.seed}
    record = _record(asset, views, cloud, {**made_by, "figures": figures.rounded()}).encode()
    outcome = Outcome(
        status=KEPT,
        figures=figures.rounded(),
        descriptor=descriptors.to_text(descriptors.descriptor(cloud.points, cloud.colors / 255)),
        sha256=hashlib.sha256(record).hexdigest(),
        bytes=len(record),
        **_attribution(asset),
    )
    return outcome, record


def _record(asset: Asset, views: Sequence[View], cloud: FusedCloud, provenance: Mapping[str, Any]) -> Record:
    return Record(
        key=asset.key,
        points=quantized_points(cloud.points),
        colors=cloud.colors,
        normals=quantized_normals(cloud.normals),
        material=cloud.material,
        views=tuple(
            StoredView(webp(view.color), view.camera, None if view.lit is None else webp(view.lit)) for view in views
        ),
        captions=captions(asset),
        licence=asset.licence,
        creator=asset.creator,
        source=asset.source,
        provenance=provenance,
    )
