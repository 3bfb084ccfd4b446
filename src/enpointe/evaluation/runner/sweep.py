"""Quality against the number of evaluations, for each sampler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from enpointe.diffusion.sampler import make_sampler, samplers_in
from enpointe.evaluation.metrics import ordered
from enpointe.evaluation.prompts import texts_of
from enpointe.evaluation.references import procedural_reference
from enpointe.evaluation.runner.evaluate import score
from enpointe.evaluation.runner.generation import Log
from enpointe.evaluation.runner.results import Results
from enpointe.evaluation.samples.generated import Pair
from enpointe.evaluation.samples.memory import MemorySamples
from enpointe.evaluation.samples.sample import Sample
from enpointe.evaluation.settings import Settings
from enpointe.pipelines.base import Pipeline

EVALUATIONS = (4, 8, 16, 32)
POINTS = 1024
"""Of the base network alone: the upsampler's work is the same whatever the sampler."""


def run_sweep(
    pipeline: Pipeline,
    pairs: Sequence[Pair],
    settings: Settings,
    *,
    clouds: int,
    guidance_scale: float | None = None,
    samplers: Sequence[str] | None = None,
    evaluations: Sequence[int] = EVALUATIONS,
    log: Log = lambda line: None,
) -> list[dict[str, Any]]:
    """For each sampler and number of evaluations: the scores of the same prompts and seeds, and seconds a cloud.

    Scores of few clouds are of use beside one another only: what cannot be measured is left out.

    Args:
        clouds: for each point of the plot, at most: the first of the run.
        samplers: by default all that take any noise levels.
    """
    swept = {quantity.name: metric for metric, cls in ordered().items() for quantity in cls.scores if quantity.swept}
    pairs = list(pairs[:clouds])
    texts = texts_of([text for text, _ in pairs])
    reference = procedural_reference(texts, 0, n_points=POINTS, seed=settings.seed)
    pipeline.generate(pairs[0][0], n_points=64, steps=1, progress=False)  # so that no time is of loading
    found = []
    for sampler in samplers or samplers_in("karras"):
        for most in evaluations:
            began = time.perf_counter()
            results = pipeline.generate(
                [text for text, _ in pairs],
                seed=[seed for _, seed in pairs],
                n_points=POINTS,
                steps=make_sampler(sampler).steps_within(most),
                guidance_scale=guidance_scale,
                sampler=sampler,
                progress=False,
            )
            seconds = (time.perf_counter() - began) / len(pairs)
            samples = MemorySamples([Sample(str(i), result.cloud, *pairs[i]) for i, result in enumerate(results)])
            scored = score(
                Results("model", "sweep", {}), samples, reference, settings, list(dict.fromkeys(swept.values())),
                optional=True, pool=texts, ceilings=False,
            )  # fmt: skip
            values = {one.name: one.value for one in scored.scores if one.name in swept}
            found.append({"sampler": sampler, "evaluations": most, "clouds": len(pairs), **values, "seconds": seconds})
            log(f"{sampler}, {most} evaluations: {seconds:.1f} s a cloud")
    return found
