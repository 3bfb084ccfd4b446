"""What became of each asset of a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KEPT, DROPPED, FAILED = "kept", "dropped", "failed"


@dataclass(frozen=True)
class Outcome:
    """What has become of an asset.

    Attributes:
        status: KEPT, DROPPED (by a filter) or FAILED.
        reason: why it was not kept.
        figure, threshold: of the filter that dropped it.
        detail: more about it.
        figures: all that was measured.
        descriptor: of a kept one, see `descriptors.to_text`.
        sha256, bytes: of the kept record.
    """

    key: str
    status: str
    licence: str
    creator: str
    source: str
    caption: str
    reason: str = ""
    figure: float | None = None
    threshold: float | None = None
    detail: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    descriptor: str = ""
    sha256: str = ""
    bytes: int = 0
