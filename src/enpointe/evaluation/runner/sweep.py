"""Quality against the number of evaluations, for each sampler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.evaluation.prompts import texts_of, understood
from enpointe.evaluation.runner.evaluate import Results, Tools, score
from enpointe.evaluation.samples.generated import Pair
from enpointe.evaluation.samples.sample import Sample, SampleSet
from enpointe.evaluation.samples.true_objects import TrueObjects
from enpointe.pipelines.base import Pipeline

EVALUATIONS = (4, 8, 16, 32)
POINTS = 1024
"""Of the base network alone: the upsampler's work is the same whatever the sampler."""
METRICS = ("p_fid", "named", "r_precision", "f_score")
KEPT = ("p_fid", "named", "r_precision", "chamfer_to_prompt", "f_score")


class HeldSamples(SampleSet):
    """Samples that are in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__("sweep", "generated", None)
        self._held = list(samples)

    def _size(self) -> int:
        return len(self._held)

    def _samples(self, only: set[str] | None = None) -> Iterator[Sample]:
        return (sample for sample in self._held if self._sound(sample))


def run_sweep(
    pipeline: Pipeline,
    pairs: Sequence[Pair],
    tools: Tools,
    *,
    clouds: int,
    guidance: float | None = None,
    samplers: Sequence[str] | None = None,
    evaluations: Sequence[int] = EVALUATIONS,
    say: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """For each sampler and number of evaluations: the scores of the same prompts and seeds, and seconds a cloud.

    Scores of few clouds are of use beside one another only: what cannot be measured is left out.

    Args:
        clouds: for each point of the plot, at most: the first of the run.
        samplers: by default all that take any noise levels.
    """
    pairs = list(pairs[:clouds])
    texts = texts_of([text for text, _ in pairs])
    known = [text for text in texts if understood(text)]
    reference = TrueObjects(known, 4 * len(known), n_points=POINTS, seed=tools.seed) if known else None
    pipeline.generate(pairs[0][0], n_points=64, steps=1, progress=False)  # so that no time is of loading
    found = []
    for sampler in samplers or samplers_in("karras"):
        for asked in evaluations:
            began = time.perf_counter()
            results = pipeline.generate(
                [text for text, _ in pairs],
                seed=[seed for _, seed in pairs],
                n_points=POINTS,
                steps=make_sampler(sampler).steps_within(asked),
                guidance_scale=guidance,
                sampler=sampler,
                progress=False,
            )
            seconds = (time.perf_counter() - began) / len(pairs)
            samples = HeldSamples([Sample(str(i), result.cloud, *pairs[i]) for i, result in enumerate(results)])
            made = score(
                Results("model", "sweep", {}), samples, reference, None, tools,
                metrics=METRICS, pool=texts, ceiling=False,
            )  # fmt: skip
            values = {one.name: one.value for one in made.scores if one.name in KEPT}
            found.append({"sampler": sampler, "evaluations": asked, "clouds": len(pairs), **values, "seconds": seconds})
            say(f"{sampler}, {asked} evaluations: {seconds:.1f} s a cloud")
    return found
