"""Real and procedural 3D models with their names and attribution, before they are loaded.

The modules of `sources` list them; `asset_clouds.sample_asset` samples a cloud of one, `build` renders them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enpointe.io.assets.model import Model


@dataclass(frozen=True)
class Asset:
    """A named model of a collection, not loaded yet. It can be sent to another process.

    Attributes:
        key: unique and lasting ("kaykit/restaurant-bits/crate_carrots"), for splits and attribution.
        name: what it is in plain words, without an article ("lit candle", "blue banner").
        nouns: words for it, the closest first ("crate of carrots", "crate"), without colors or sizes.
        tags: further words of the source, unordered and less exact.
        category: the source's own group.
        licence: SPDX identifier where known, else the source's words.
        creator, source: who made it, and the collection.
        load: reads the model; raises InputError.
        captions: whole sentences that came with it, the best first; more exact than `nouns`.
    """

    key: str
    name: str
    nouns: tuple[str, ...]
    tags: tuple[str, ...]
    category: str
    licence: str
    creator: str
    source: str
    load: Callable[[], Model]
    captions: tuple[str, ...] = ()
