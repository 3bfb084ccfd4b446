"""The two kinds of run: a model's clouds are generated and scored, or clouds that are there are scored."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from enpointe.checkpoints.registry import generators
from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.evaluation.files import write_json
from enpointe.evaluation.prompts import PromptList, texts_of
from enpointe.evaluation.references import procedural_reference
from enpointe.evaluation.runner.evaluate import check_metrics, score
from enpointe.evaluation.runner.generation import Generation, Log, generate_samples
from enpointe.evaluation.runner.results import Results, peak_memory
from enpointe.evaluation.runner.sweep import run_sweep
from enpointe.evaluation.runner.tools import open_renderer
from enpointe.evaluation.samples.generated import SAMPLES
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.settings import Settings
from enpointe.io.sample_folder import META, SampleFolder
from enpointe.pipelines.base import Pipeline

COST = "cost.json"


def evaluate_model(
    pipeline: Pipeline,
    prompts: PromptList,
    folder: Path,
    *,
    n: int | None = None,
    generation: Generation | None = None,
    reference: SampleSet | None = None,
    metrics: Sequence[str] | None = None,
    settings: Settings | None = None,
    weights: Path | None = None,
    sweep: int = 0,
    progress: ProgressCallback = no_progress,
    log: Log = lambda line: None,
) -> tuple[Results, SampleSet]:
    """Clouds of the prompts, generated in `folder` where they are not there yet, and how good they are.

    Args:
        n: clouds; see `PromptList.first`.
        generation: how clouds are generated.
        reference: by default new procedural objects of the prompts' things, if there are any.
        metrics: that must be measured; None for all that can be.
        settings: of the scoring; its seed is the first of the clouds, too.
        weights: another file of the base network that the pipeline was loaded with.
        sweep: clouds for each point of a sweep, see `run_sweep`; 0 for none.
        progress: of the generation and of the scoring.
        log: gets lines for people.

    Raises:
        InputError: a model that draws from images, a metric that cannot be measured, a folder of another run.
        DeviceError: Blender was chosen, and there is none that can be used.
    """
    generation, settings = generation or Generation(), settings or Settings()
    inputs = pipeline.spec.inputs
    takes_text = "text" in inputs
    if inputs and not takes_text:
        texts = ", ".join(spec.name for spec in generators().values() if "text" in spec.inputs)
        raise InputError(f"{pipeline.name} draws from an image: expected a model of prompts ({texts})")
    if sweep and not takes_text:
        raise InputError(f"sweep: expected a model that draws from a text, found {pipeline.name}")
    pairs = prompts.first(n, settings.seed)
    if not takes_text:
        pairs = [("", settings.seed + i) for i in range(n or len(prompts.prompts))]
    texts_generated = texts_of([text for text, _ in pairs if text])
    if reference is None:
        wanted = [metric.reference_clouds for metric in check_metrics(metrics, reference=True).values()]
        reference = procedural_reference(
            texts_generated, max(len(pairs), *wanted), n_points=generation.n_points, seed=settings.seed
        )
    chosen = check_metrics(metrics, reference=reference is not None)
    if any("renderer" in metric.needs for metric in chosen.values()):
        open_renderer(settings).close()  # what fails fails before what takes long
    for line in prompts.notes:
        log(line)
    began = time.perf_counter()
    samples, generated_with = generate_samples(
        pipeline, pairs, generation, folder, weights=weights, progress=progress, log=log
    )
    cost = _cost(folder, pipeline, time.perf_counter() - began)
    pool = prompts.pool if takes_text else ()
    about: dict[str, Any] = {
        **generated_with,
        "seed": settings.seed,
        "prompts": prompts.source,
        "different_prompts": len(texts_generated),
        "pool": len(pool),
    }
    results = Results("model", pipeline.name, about, notes=list(prompts.notes), cost=cost)
    score(results, samples, reference, settings, metrics, pool=pool, progress=progress)
    results.settings["sampling"] = _sampling(folder)
    if sweep:
        began = time.perf_counter()
        found = run_sweep(pipeline, pairs, settings, clouds=sweep, guidance_scale=generation.guidance_scale, log=log)
        # Times are no part of what two runs have in common.
        results.cost["sweep_seconds_per_cloud"] = {
            f"{one['sampler']} {one['evaluations']}": round(one.pop("seconds"), 3) for one in found
        }
        results.sweep = found
        results.cost["sweep"] = round(time.perf_counter() - began, 3)
    return results, samples


def evaluate_samples(
    samples: SampleSet,
    reference: SampleSet | None,
    *,
    metrics: Sequence[str] | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback = no_progress,
) -> Results:
    """How good clouds are that are there; see `evaluate.score` for what is raised."""
    settings = settings or Settings()
    about = {"samples": f"{samples.kind} {samples.place}", "seed": settings.seed}
    if reference is not None:
        about["reference"] = f"{reference.kind} {reference.place}"
    return score(Results("samples", samples.place, about), samples, reference, settings, metrics, progress=progress)


def _sampling(folder: Path) -> dict[str, Any]:
    """The sampler's settings as the first sample's meta.json has them, the model's own values filled in."""
    for path in sorted((folder / SAMPLES).glob(f"*/{META}")):
        settings: dict[str, Any] = SampleFolder(path.parent).meta().get("settings", {})
        if "steps" in settings and settings.get("sampler") in SAMPLERS:
            settings["evaluations"] = make_sampler(settings["sampler"]).evaluations(settings["steps"])
        return settings
    return {}


def _cost(folder: Path, pipeline: Pipeline, seconds: float) -> dict[str, Any]:
    """Seconds and memory of the generation, kept in the folder so that a run that goes on knows its beginning's."""
    path = folder / COST
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    found: dict[str, Any] = {
        "peak_memory_mb": max(before.get("peak_memory_mb") or 0, round((peak_memory() or 0) / 1e6)) or None,
        "generation": max(before.get("generation") or 0, round(seconds, 3)),
        "device": pipeline.device.type,
    }
    if pipeline.device.type == "cuda":
        most = round(torch.cuda.max_memory_allocated(pipeline.device) / 1e6)
        found["peak_device_memory_mb"] = max(before.get("peak_device_memory_mb") or 0, most)
    write_json(path, found)
    return found
