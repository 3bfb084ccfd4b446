"""What a run found, as people and programs read it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Any

import torch

from enpointe import __version__
from enpointe.evaluation.metrics import ordered
from enpointe.evaluation.score import Row, Score

FORMAT, VERSION = "enpointe-evaluation", 2


@dataclass
class Results:
    """All that a run found. All but `cost` is the same when the same command runs again.

    Attributes:
        kind: "model" or "samples".
        title: what was scored, for people.
        settings: all that decided about the numbers.
        missing: metrics that were not measured, and why.
        tools: classifier, encoder, renderer and reference: which, and how good by their own account.
        counts: of samples, reference clouds, meshes, failures.
        groups: see `rows.groups`.
        ceiling: scores of the reference, by name.
        context: what metrics add, by metric.
        cost: seconds and memory.
    """

    kind: str
    title: str
    settings: dict[str, Any]
    scores: list[Score] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    ceiling: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    sweep: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """All but the single samples; every score's value under its name, null where it was not measured."""
        values: dict[str, Any] = {one.name: None for metric in ordered().values() for one in metric.scores}
        values |= {score.name: score.value for score in self.scores}
        whole = ("kind", "title", "settings", "tools", "counts", "failures", "notes", "groups", "ceiling", "context",
                 "sweep", "cost")  # fmt: skip
        return {
            "format": FORMAT,
            "version": VERSION,
            "enpointe": __version__,
            **values,
            "scores": [score.to_json() for score in self.scores],
            "not_measured": self.missing,
            **{name: getattr(self, name) for name in whole},
        }

    def to_json(self) -> dict[str, Any]:
        return {**self.summary(), "samples": self.rows}


def machine() -> dict[str, Any]:
    """What the times are to be read with."""
    return {"system": platform.system(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def peak_memory() -> int | None:
    """Bytes that this process had at most, in main memory; None where the system has no such count."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if platform.system() == "Darwin" else most * 1024)
