"""Loading assets as the workers of a build do, without rendering them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enpointe.core.errors import EnpointeError
from enpointe.data.assets import Asset
from enpointe.data.build.workers import JobFailure
from enpointe.io.assets.model import Model


def load(asset: Asset) -> Model | JobFailure:
    """The asset's model in the unit frame, or why there is none; other errors than the package's own are not caught."""
    try:
        return asset.load().normalized()
    except EnpointeError as error:
        return JobFailure(str(error))
    except MemoryError:
        return JobFailure("took more memory than it may")


@contextmanager
def open_loader() -> Iterator[Callable[[Asset], Model | JobFailure]]:
    """For `run_jobs`."""
    yield load
