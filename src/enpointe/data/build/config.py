"""All that a record depends on besides its asset."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from enpointe.core.options import option


@dataclass(frozen=True)
class Thresholds:
    """What an asset is dropped for.

    Attributes:
        flat: a thickness below this.
        empty: a coverage below this.
        unseen: a share of the surface above this.
        duplicate: a distance of descriptors below this.
    """

    flat: float = field(default=0.0045, metadata=option("drop models thinner than this", "X", most=1))
    empty: float = field(default=0.003, metadata=option("drop models that cover less of their views", "X", most=1))
    unseen: float = field(default=0.6, metadata=option("drop models of which more is unseen", "X", most=1))
    duplicate: float = field(default=0.009, metadata=option("drop models nearer to another one", "X", most=2))


@dataclass(frozen=True)
class BuildConfig:
    """All that a record depends on beside its asset.

    Attributes:
        renderer: its name; the provenance prefers the name that the renderer has itself.
        views, size: how many views of each object, and their pixels along a side.
        points: of the stored cloud.
        seed: of cameras and choices; each asset's own follow from it and the asset's key.
        thresholds: of the filters.
    """

    renderer: str
    views: int = field(default=20, metadata=option("of each model", "N", least=1, most=200))
    size: int = field(default=512, metadata=option("side of a view", "PIXELS", least=16, most=2048))
    points: int = 4096
    seed: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)

    def header(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)
