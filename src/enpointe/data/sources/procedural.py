"""The procedural families as a source of assets: any number of them, each made when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from enpointe.core.errors import InputError
from enpointe.core.options import option
from enpointe.data.assets import Asset
from enpointe.data.sources import SOURCES, Source
from enpointe.io.assets.limits import LIMITS, AssetLimits


@SOURCES.register("procedural")
@dataclass(frozen=True)
class Procedural(Source):
    """`limit` objects, the families in turn, rare ones every third time. The same seed gives the same objects.

    Raises:
        InputError: `limit` is not positive.
    """

    limit: int = field(default=1000, metadata=option("how many objects", "N", least=1))
    seed: int = field(default=0, metadata=option("of the objects", "S"))

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise InputError(f"procedural: expected at least one object, found {self.limit}")

    def open(self, path: Path | None = None, limits: AssetLimits = LIMITS) -> Procedural:
        if path is not None:
            raise InputError(f"path: expected none with source 'procedural', found {path}")
        return self

    def __len__(self) -> int:
        return self.limit

    def __iter__(self) -> Iterator[Asset]:
        from enpointe.data.procedural.families import CYCLE

        return (_asset(CYCLE[i % len(CYCLE)], i, self.seed) for i in range(self.limit))


def _asset(family_name: str, index: int, seed: int) -> Asset:
    from enpointe.data.procedural.families import FAMILIES
    from enpointe.data.procedural.objects import draw_object, load_object

    family = FAMILIES[family_name]
    return Asset(
        key=f"procedural/{seed}/{index:08d}/{family.name}",
        name=family.name,
        nouns=family.names,
        tags=(),
        category=family.category,
        licence="MIT",
        creator="the enpointe authors",
        source="procedural families",
        load=partial(load_object, family.name, index, seed),
        captions=(draw_object(family.name, index, seed).caption,),
    )
