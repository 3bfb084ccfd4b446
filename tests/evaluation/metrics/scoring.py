"""Scores of samples in memory, by metrics and tools that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence

from enpointe.core.progress import no_progress
from enpointe.evaluation.metric import Metric, Run, Tools
from enpointe.evaluation.runner.observe import observe
from enpointe.evaluation.samples.memory import MemorySamples
from enpointe.evaluation.samples.sample import Failure, Sample
from enpointe.evaluation.score import Score
from enpointe.evaluation.settings import Settings


class Scored:
    """What a metric found of samples, beside a reference.

    Attributes:
        scores: of the run.
        run: rows, ceiling and context.
        failures: of the samples.
    """

    def __init__(
        self,
        metric: type[Metric],
        samples: Sequence[Sample],
        reference: Sequence[Sample] | None = None,
        tools: Tools | None = None,
        texts: Sequence[str] = (),
    ) -> None:
        tools = tools or Tools(Settings())
        made, ours = metric(tools), MemorySamples(samples)
        theirs = None
        if reference is not None:
            theirs = observe(
                "reference", MemorySamples(reference), [made.observe_reference], tools.settings, tools.classifier,
                no_progress,
            )  # fmt: skip
        observed = observe("samples", ours, [made.observe], tools.settings, tools.classifier, no_progress)
        self.run = Run(observed, theirs, texts, [{"prompt": sample.prompt} for sample in samples])
        self.scores: list[Score] = made.score(self.run)
        self.failures: list[Failure] = ours.failures
