"""Loading assets in processes of their own, so that one that crashes, stalls or eats memory costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from enpointe.core.errors import EnpointeError
from enpointe.data.assets import Asset
from enpointe.data.build.workers import Limits, Lost, watched
from enpointe.io.assets.model import Model

LOADING = Limits(seconds=60.0, memory=3 << 30, deaths=0)


def load_all(
    assets: Iterable[Asset], *, workers: int = 1, limits: Limits = LOADING
) -> Iterator[tuple[Asset, Model | Lost]]:
    """Each asset with its model, or with why it has none, in the order in which they end.

    A worker process loads many assets; only after one that exceeded the limits a new process is started.
    """
    return watched(assets, open_loader, workers=workers, limits=limits)


@contextmanager
def open_loader() -> Iterator[Callable[[Asset], Model | Lost]]:
    """What a worker loads with."""
    yield load


def load(asset: Asset) -> Model | Lost:
    """The asset's model, in the unit frame, or why there is none."""
    try:
        return asset.load().normalized()
    except EnpointeError as error:
        return Lost(str(error))
    except MemoryError:
        return Lost("took more memory than it may")
