"""F-score and chamfer distance of samples to reference clouds of the very prompts that they were generated from."""

from __future__ import annotations

from enpointe.evaluation.measures.shape_metrics import chamfer_l1, f_score
from enpointe.evaluation.metric import Metric, NotMeasured, Run, Tools
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.observation import THIN, Observation, Thin
from enpointe.evaluation.references import PER_PROMPT, References
from enpointe.evaluation.score import Quantity, Score

THRESHOLD = 0.02
"""Of the longest side: twice what is usual, as points of a cloud of 4,096 lie that far apart."""


@METRICS.register("f_score")
class FScore(Metric):
    """See `measures.shape_metrics.f_score` and `chamfer_l1`."""

    needs = frozenset({"reference", "prompts"})
    scores = (
        Quantity("f_score", f"F-score at {THRESHOLD:g}", "higher", "share", swept=True),
        Quantity("chamfer_to_prompt", "Distance to prompt", "lower", swept=True),
    )
    values = (
        Quantity("f_score", "F-score", "higher", "share"),
        Quantity("chamfer", "distance to prompt", "lower"),
    )
    section = "Distances to reference clouds"
    order = 50

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._thin: list[tuple[int, str, Thin]] = []
        self._references: References[Thin] = References()

    def observe_reference(self, sample: Observation) -> None:
        self._references.offer(sample.sample.prompt, lambda: sample.thin)

    def observe(self, sample: Observation) -> None:
        prompt = sample.sample.prompt
        if prompt in self._references.kept:
            self._thin.append((sample.index, prompt, sample.thin))

    def score(self, run: Run) -> list[Score]:
        if not self._thin:
            raise NotMeasured("no sample has a reference cloud of the same prompt")
        rows = [run.rows[i] for i, _, _ in self._thin]
        for row, (_, prompt, cloud) in zip(rows, self._thin, strict=True):
            references = self._references.kept[prompt]
            row["f_score"] = max(f_score(cloud, one, THRESHOLD).f_score for one in references)
            row["chamfer"] = min(chamfer_l1(cloud, one) for one in references)
        note = (
            f"of {len(rows)} samples, each against the nearest of up to {PER_PROMPT} reference clouds of its prompt; "
            f"{THIN} points"
        )
        share, distance = self.scores
        return [
            share.mean(
                [row["f_score"] for row in rows],
                "how much of a sample and of a reference cloud of its prompt lies within that distance (of the longest "
                "side) of the other",
                self.seed,
                note,
            ),
            distance.mean(
                [row["chamfer"] for row in rows],
                "chamfer distance (plain lengths) to the nearest reference cloud of the same prompt",
                self.seed,
                note,
            ),
        ]
