"""The metrics of a run, one file each: a new file is a new name. Naming them needs neither NumPy nor PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.evaluation.metric import Metric
    from enpointe.evaluation.score import Quantity

METRICS: Registry[type[Metric]] = Registry("metric", __name__, by_module=True)


def ordered() -> dict[str, type[Metric]]:
    """All metrics by name, as reports show them."""
    return dict(sorted(METRICS.items(), key=lambda item: (item[1].order, item[0])))


def values() -> dict[str, Quantity]:
    """What the metrics measure of single samples, by name, as reports show it."""
    return {value.name: value for metric in ordered().values() for value in metric.values}
