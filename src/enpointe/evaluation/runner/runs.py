"""The two kinds of run: a model's clouds are made and scored, or clouds that are there are scored."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from enpointe.checkpoints.registry import generators
from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.diffusion.sampler import make_sampler
from enpointe.diffusion.samplers import SAMPLERS
from enpointe.evaluation.photographs import check_renderer
from enpointe.evaluation.prompts import PromptList, texts_of, understood
from enpointe.evaluation.runner.evaluate import Progress, Results, Tools, check_metrics, peak_memory, score
from enpointe.evaluation.runner.gather import TWINS
from enpointe.evaluation.runner.sweep import run_sweep
from enpointe.evaluation.samples.generated import SAMPLES, Making, make_samples, write_json
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.samples.true_objects import TrueObjects
from enpointe.io.sample_folder import META, SampleFolder
from enpointe.pipelines.base import Pipeline

COST = "cost.json"
REFERENCE_CLOUDS = 300
"""Fresh objects that P-FID of a run without a reference of its own takes, at least: more than the features of the
embedded classifier."""

Say = Callable[[str], None]


def evaluate_model(
    pipeline: Pipeline,
    prompts: PromptList,
    folder: Path,
    *,
    n: int | None = None,
    seed: int = 0,
    making: Making | None = None,
    reference: SampleSet | None = None,
    metrics: Sequence[str] | None = None,
    tools: Tools | None = None,
    preset: str = "fast",
    weights: Path | None = None,
    sweep: int = 0,
    progress: ProgressCallback = no_progress,
    scoring: Progress = lambda what, done, total: None,
    say: Say = lambda line: None,
) -> tuple[Results, SampleSet]:
    """Clouds of the prompts, made in `folder` where they are not there yet, and what they are worth.

    Args:
        n: clouds; see `PromptList.first`.
        reference: true clouds; by default fresh objects of what the prompts ask for, if any plainly does.
        making: how clouds are made.
        preset, weights: what the pipeline was loaded with.
        sweep: clouds for each point of a sweep, see `run_sweep`; 0 for none.
        progress, scoring: of the making, and of the rest.
        say: told lines for people.

    Raises:
        InputError: a model that draws from pictures, a metric that cannot be had, a folder of another run.
        DeviceError: Blender was asked for, and there is none that can be used.
    """
    making, tools = making or Making(), tools or Tools(seed=seed)
    inputs = pipeline.spec.inputs
    takes_text = "text" in inputs
    if inputs and not takes_text:
        texts = ", ".join(spec.name for spec in generators().values() if "text" in spec.inputs)
        raise InputError(f"{pipeline.name} draws from an image: expected a model of prompts ({texts})")
    if sweep and not takes_text:
        raise InputError(f"sweep: expected a model that draws from a text, found {pipeline.name}")
    pairs = prompts.first(n, seed) if takes_text else [("", seed + i) for i in range(n or len(prompts.prompts))]
    texts_made = texts_of([text for text, _ in pairs if text])
    if reference is None and any(understood(text) for text in texts_made):
        texts_known = sum(understood(text) is not None for text in texts_made)
        clouds = max(len(pairs), TWINS * texts_known)
        if metrics is None or "p_fid" in metrics:
            clouds = max(clouds, REFERENCE_CLOUDS)
        reference = TrueObjects(texts_made, clouds, n_points=making.n_points, seed=seed)
    if "r_precision" in check_metrics(metrics, reference=reference is not None):
        check_renderer(tools.renderer, tools.views)
    for line in prompts.notes:
        say(line)
    began = time.perf_counter()
    samples = make_samples(pipeline, pairs, making, folder, preset=preset, weights=weights, progress=progress, say=say)
    cost = _cost(folder, pipeline, pairs, time.perf_counter() - began)
    settings: dict[str, Any] = {
        **json.loads((folder / "settings.json").read_text(encoding="utf-8")),
        "seed": seed,
        "prompts": prompts.source,
        "different_prompts": len(texts_made),
        "pool": len(prompts.pool) if takes_text else 0,
    }
    results = Results("model", pipeline.name, settings, notes=list(prompts.notes), cost=cost)
    pool = prompts.pool if takes_text else ()
    score(results, samples, reference, metrics, tools, pool=pool, progress=scoring)
    results.settings["drawn_with"] = _drawn_with(folder, samples)
    if sweep:
        began = time.perf_counter()
        found = run_sweep(pipeline, pairs, tools, clouds=sweep, guidance=making.guidance, say=say)
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
    tools: Tools | None = None,
    scoring: Progress = lambda what, done, total: None,
) -> Results:
    """What clouds that are there are worth; see `evaluate.score` for what is raised."""
    tools = tools or Tools()
    settings = {"samples": f"{samples.kind} {samples.place}", "seed": tools.seed}
    if reference is not None:
        settings["reference"] = f"{reference.kind} {reference.place}"
    results = Results("samples", samples.place, settings)
    return score(results, samples, reference, metrics, tools, progress=scoring)


def _drawn_with(folder: Path, samples: SampleSet) -> dict[str, Any]:
    """The sampler's settings as the first sample's meta.json says them, the model's own values filled in."""
    for path in sorted((folder / SAMPLES).glob(f"*/{META}")):
        settings: dict[str, Any] = SampleFolder(path.parent).meta().get("settings", {})
        if "steps" in settings and settings.get("sampler") in SAMPLERS:
            settings["evaluations"] = make_sampler(settings["sampler"]).evaluations(settings["steps"])
        return settings
    return {}


def _cost(folder: Path, pipeline: Pipeline, pairs: Sequence[tuple[str, int]], seconds: float) -> dict[str, Any]:
    """Seconds and memory of making, kept in the folder so that a run that goes on knows those of its beginning."""
    path = folder / COST
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    peak = peak_memory()
    found: dict[str, Any] = {
        "peak_memory_mb": max(before.get("peak_memory_mb") or 0, round((peak or 0) / 1e6)) or None,
        "making": max(before.get("making") or 0, round(seconds, 3)),
        "device": pipeline.device.type,
    }
    if pipeline.device.type == "cuda":
        most = round(torch.cuda.max_memory_allocated(pipeline.device) / 1e6)
        found["peak_device_memory_mb"] = max(before.get("peak_device_memory_mb") or 0, most)
    write_json(path, found)
    return found
