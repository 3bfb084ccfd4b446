"""Features of records that buckets are found by: each module here registers what opens one, under its own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from enpointe.data.shards.records import Record

Features: TypeAlias = "Callable[[Record], NDArray[np.floating]]"
"""A record's features, a vector."""

FEATURES: Registry[Callable[[], Features]] = Registry("features", __name__, by_module=True)
