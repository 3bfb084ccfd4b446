"""P-FID: the Fréchet distance between the classifier's features of samples and reference (arXiv 2212.08751)."""

from __future__ import annotations

from enpointe.evaluation.measures.classifier_scores import ends, p_fid
from enpointe.evaluation.metric import Metric, NotMeasured, Run, given
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.observation import Observed
from enpointe.evaluation.score import Quantity, Score


@METRICS.register("p_fid")
class PFID(Metric):
    """See `measures.classifier_scores.p_fid`."""

    needs = frozenset({"reference", "classifier"})
    scores = (Quantity("p_fid", "P-FID", "lower", swept=True),)
    order = 10
    reference_clouds = 300  # more than the embedded classifier has features

    def score(self, run: Run) -> list[Score]:
        samples, reference = run.samples, given(run.reference)
        if min(len(samples), len(reference)) < 2:
            raise NotMeasured(f"at least 2 clouds of each are needed, found {len(samples)} and {len(reference)}")
        found = p_fid(given(samples.features).features, given(reference.features).features, seed=self.seed)
        notes = [found.note] if found.note else []
        if samples.points != reference.points:
            notes.append(
                f"samples have {_range(samples)} points, the reference {_range(reference)}: that alone adds to it"
            )
        what = (
            f"Fréchet distance between {given(self.tools.classifier).name}'s features of {found.samples} samples and "
            f"{found.reference} reference clouds"
        )
        return [self.scores[0].score(found.value, what, ends(found.interval), "; ".join(notes) or None)]


def _range(observed: Observed) -> str:
    low, high = given(observed.points)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
