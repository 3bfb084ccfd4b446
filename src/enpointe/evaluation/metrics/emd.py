"""Earth mover's distances between samples and reference."""

from __future__ import annotations

from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.metrics._sets import SetDistance, set_quantities


@METRICS.register("emd")
class EMD(SetDistance):
    """See `measures.shape_metrics.earth_movers_distance`."""

    scores = set_quantities("emd", "EMD")
    order = 70
    distance, words = "emd", "earth mover's"
    clouds, points = 32, 512
    equal_points = True
