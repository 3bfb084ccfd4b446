"""Chamfer distances between samples and reference."""

from __future__ import annotations

from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.metrics._sets import Reservoir, SetDistance, set_quantities


@METRICS.register("chamfer")
class Chamfer(SetDistance):
    """See `measures.shape_metrics.chamfer_l2`."""

    scores = set_quantities("chamfer", "CD")
    order = 60
    distance, words = "chamfer_l2", "chamfer"
    clouds, points = Reservoir.SIZE, 1024
