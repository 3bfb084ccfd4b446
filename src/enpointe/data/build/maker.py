"""From an asset to its record: load, render, fuse, filter. What happens in a worker's process."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from enpointe import __version__
from enpointe.core.errors import DeviceError, EnpointeError, InputError, OutputError
from enpointe.data.assets import Asset
from enpointe.data.build import filters
from enpointe.data.build.fuse import FusedCloud, fuse, sampler
from enpointe.data.build.staging import DROPPED, FAILED, KEPT, Outcome, Staging
from enpointe.data.shards import descriptors
from enpointe.data.shards.records import Record, StoredView, quantized_normals, quantized_points, record_id, webp
from enpointe.io.assets.model import Model
from enpointe.render.cameras import Camera, random_cameras
from enpointe.render.views import Renderer, View

_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")
OpenRenderer = Callable[[], AbstractContextManager[Renderer]]


@dataclass(frozen=True)
class Recipe:
    """All that a record depends on beside its asset.

    Attributes:
        renderer: its name; the provenance prefers the name that the renderer has itself.
        views, size: pictures of each object, and their pixels along a side.
        points: of the stored cloud.
        seed: of cameras and choices; each asset's own follow from it and the asset's key.
        thresholds: of the filters.
    """

    renderer: str
    views: int = 20
    size: int = 512
    points: int = 4096
    seed: int = 0
    thresholds: filters.Thresholds = field(default_factory=filters.Thresholds)

    def header(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@contextmanager
def open_maker(
    open_renderer: OpenRenderer, recipe: Recipe, folder: Path, scratch: Path
) -> Iterator[Callable[[Asset], str]]:
    """What makes records of assets, keeps them in the staging folder, and says what became of each.

    scratch: where libraries may put temporary files; it outlives this process, which may be killed.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(scratch)
    staging = Staging(folder)
    with open_renderer() as renderer:

        def work(asset: Asset) -> str:
            outcome, record = make(asset, renderer, recipe)
            staging.save(outcome, record)
            return outcome.status

        yield work


def make(asset: Asset, renderer: Renderer, recipe: Recipe) -> tuple[Outcome, bytes | None]:
    """What becomes of an asset, and its encoded record if it is kept. Nothing that an asset does raises here.

    Raises:
        DeviceError: the renderer is gone for good.
        OutputError: the disk is full.
    """

    def steps() -> tuple[Outcome, bytes | None]:
        loaded = load(asset, recipe)
        return finish(loaded, renderer.render(loaded.model, loaded.cameras), renderer_name(renderer, recipe), recipe)

    made = attempt(asset, steps)
    return (made, None) if isinstance(made, Outcome) else made


def attempt(asset: Asset, step: Callable[[], T]) -> T | Outcome:
    """What a step of an asset's making gives, or the outcome of a failed one; raises what `make` does."""
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
    """The outcome of an asset that could not be made."""
    return Outcome(status=FAILED, reason=reason, **_words(asset))


def captions(asset: Asset) -> tuple[str, ...]:
    """What is said of an asset, the closest first, each once."""
    return tuple(dict.fromkeys(words for words in (*asset.captions, asset.name, *asset.nouns) if words))


def _words(asset: Asset) -> dict[str, Any]:
    said = captions(asset)
    return {
        "key": asset.key, "licence": asset.licence, "creator": asset.creator, "source": asset.source,
        "caption": said[0] if said else "",
    }  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """An asset ready to be rendered: its model in the unit frame, its cameras, and the numbers that it may draw."""

    asset: Asset
    model: Model
    cameras: tuple[Camera, ...]
    rng: np.random.Generator


def load(asset: Asset, recipe: Recipe) -> Loaded:
    """The first step. Raises what loading does, and InputError where there are no words."""
    rng = np.random.default_rng([recipe.seed, int(record_id(asset.key), 16)])
    if not captions(asset):
        raise InputError("expected a caption, found none")
    model = asset.load().normalized()
    return Loaded(asset, model, random_cameras(recipe.views, rng, size=recipe.size), rng)


def renderer_name(renderer: Renderer, recipe: Recipe) -> str:
    """What records say of who made their views."""
    return str(getattr(renderer, "name", recipe.renderer))


def finish(loaded: Loaded, views: Sequence[View], renderer: str, recipe: Recipe) -> tuple[Outcome, bytes | None]:
    """The last step: fuse, filter, record. Raises what fusing does."""
    asset, model, rng = loaded.asset, loaded.model, loaded.rng
    figures = filters.Figures(coverage=filters.coverage(views))
    cloud = None
    if figures.coverage >= recipe.thresholds.empty:
        cloud = fuse(views, recipe.points, seed=int(rng.integers(2**31)))
        figures = filters.Figures(
            coverage=figures.coverage,
            thickness=filters.thickness(cloud.points),
            unseen=filters.unseen_share(model, cloud.points, rng),
        )
    verdict = filters.judge(figures, recipe.thresholds)
    if verdict is not None or cloud is None:
        dropped = {} if verdict is None else asdict(verdict)
        return Outcome(status=DROPPED, figures=figures.rounded(), **dropped, **_words(asset)), None
    made_by = {"enpointe": __version__, "renderer": renderer, "sampling": sampler(), "seed": recipe.seed}
    record = _record(asset, views, cloud, {**made_by, "figures": figures.rounded()}).encode()
    outcome = Outcome(
        status=KEPT,
        figures=figures.rounded(),
        descriptor=descriptors.to_text(descriptors.descriptor(cloud.points, cloud.colors / 255)),
        sha256=hashlib.sha256(record).hexdigest(),
        bytes=len(record),
        **_words(asset),
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
