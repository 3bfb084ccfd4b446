"""The metrics of a run, one file each: a new file is a new name. Naming them needs neither NumPy nor PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enpointe.core.registry import Registry

if TYPE_CHECKING:
    from enpointe.evaluation.metric import Metric

METRICS: Registry[type[Metric]] = Registry("metric", __name__, by_module=True)
