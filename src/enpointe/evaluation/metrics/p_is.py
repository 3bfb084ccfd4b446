"""P-IS: the inception score of the classifier's probabilities (arXiv 2212.08751)."""

from __future__ import annotations

from enpointe.evaluation.measures.classifier_scores import ends, p_is
from enpointe.evaluation.metric import Metric, Run, given
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.score import Quantity, Score


@METRICS.register("p_is")
class PIS(Metric):
    """See `measures.classifier_scores.p_is`."""

    needs = frozenset({"classifier"})
    scores = (Quantity("p_is", "P-IS", "higher"),)
    order = 20

    def score(self, run: Run) -> list[Score]:
        found = p_is(given(run.samples.features).probabilities, seed=self.seed)
        what = (
            f"inception score of {given(self.tools.classifier).name}'s {found.classes} classes, of which "
            f"{found.classes_seen} are some sample's likeliest"
        )
        return [self.scores[0].score(found.value, what, ends(found.interval), found.note)]
