"""Classifier accuracy: how often a sample is classified as the noun of its prompt."""

from __future__ import annotations

from collections.abc import Sequence

from enpointe.data.procedural.families import FAMILIES
from enpointe.evaluation.metric import Badge, Metric, NotMeasured, Run, given
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.score import Quantity, Row, Score


@METRICS.register("named")
class Named(Metric):
    """Of samples whose prompt plainly has a noun that is one of the classifier's classes."""

    needs = frozenset({"classifier"})
    scores = (Quantity("named", "Classifier accuracy", "higher", "share", swept=True),)
    values = (Quantity("named", "classified right", "higher", "share", figure=False),)
    order = 40

    def score(self, run: Run) -> list[Score]:
        classifier = given(self.tools.classifier)
        if classifier.classes is None:
            raise NotMeasured(f"the classes of {classifier.name} have no names")
        hits: list[float] = []
        for row, probabilities in zip(run.rows, given(run.samples.features).probabilities, strict=True):
            best = probabilities.argmax()
            row["class"], row["class_probability"] = classifier.classes[best], float(probabilities[best])
            right = _classes_of(row.get("noun"), classifier.classes)
            if right:
                row["named"] = row["class"] in right
                row["noun_probability"] = float(sum(probabilities[classifier.classes.index(name)] for name in right))
                hits.append(float(row["named"]))
        if not hits:
            raise NotMeasured(
                f"no sample's prompt is plainly of one of the {len(classifier.classes)} classes of {classifier.name}"
            )
        what = (
            f"share that {classifier.name} classifies as the noun of their prompt, of {len(hits)} samples whose noun "
            "it knows"
        )
        return [self.scores[0].mean(hits, what, self.seed)]

    @classmethod
    def badges(cls, row: Row) -> list[Badge]:
        if "class" not in row:
            return []
        text = f"classified as: {row['class']}"
        return [Badge(text, "good" if row["named"] else "bad") if "named" in row else Badge(text)]


def _classes_of(noun: str | None, classes: Sequence[str]) -> set[str]:
    """The classes that stand for a family."""
    if noun is None:
        return set()
    return {noun, *FAMILIES[noun].names} & set(classes)
