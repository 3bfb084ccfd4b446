"""Samples and a reference are observed once each, and every metric scores them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from enpointe.core.errors import InputError
from enpointe.core.progress import ProgressCallback, no_progress
from enpointe.evaluation.metric import Metric, Need, NotMeasured, Run
from enpointe.evaluation.metrics import METRICS, ordered
from enpointe.evaluation.observation import Observed
from enpointe.evaluation.prompts import subject_of, texts_of
from enpointe.evaluation.rows import groups
from enpointe.evaluation.runner.observe import observe
from enpointe.evaluation.runner.results import Results, machine
from enpointe.evaluation.runner.tools import load_tools
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.score import Row
from enpointe.evaluation.settings import Settings


def check_metrics(requested: Sequence[str] | None, *, reference: bool) -> dict[str, type[Metric]]:
    """The metrics of those names, or all, in their order.

    Raises:
        InputError: one that there is not, or that was requested and needs a reference where there is none.
    """
    if requested is None:
        return ordered()
    unknown = [name for name in requested if name not in METRICS]
    if unknown or not requested:
        raise InputError(f"metrics: expected some of {', '.join(METRICS)}, found {', '.join(unknown) or 'none'}")
    needy = [name for name in requested if "reference" in METRICS[name].needs]
    if needy and not reference:
        raise InputError(f"metrics: expected a reference for {', '.join(needy)}, found none; name one with --reference")
    return {name: metric for name, metric in ordered().items() if name in requested}


def score(
    results: Results,
    samples: SampleSet,
    reference: SampleSet | None,
    settings: Settings,
    metrics: Sequence[str] | None = None,
    *,
    optional: bool = False,
    pool: Sequence[str] = (),
    ceilings: bool = True,
    progress: ProgressCallback = no_progress,
) -> Results:
    """Fills in all that can be measured of the samples.

    Args:
        results: of which kind, title and settings are known.
        metrics: those that must be measured; None for all that can be.
        optional: of `metrics`, too, only those that can be.
        pool: texts that a sample's has to be found among; more than those of the samples, where there are.
        ceilings: whether a procedural reference is scored, too.

    Raises:
        InputError: nothing to score, or a metric that must be measured cannot be.
        WeightsError: a network that was chosen by name cannot be had.
        DeviceError: Blender was chosen, and there is none that can be used.
    """
    began = time.perf_counter()
    wanted = check_metrics(metrics, reference=reference is not None or optional)
    required = () if metrics is None or optional else tuple(wanted)
    lacking: dict[Need, str] = {} if reference is not None else {"reference": "no reference"}
    possible = {name: metric for name, metric in wanted.items() if _reason(metric, lacking) is None}
    ceilings = ceilings and reference is not None and reference.kind == "procedural"
    tools, unavailable = load_tools(possible, settings, ceilings=ceilings)
    results.tools |= tools.about()
    lacking |= unavailable
    results.missing |= {name: reason for name, metric in wanted.items() if (reason := _reason(metric, lacking))}
    _check_required(results, required)
    active = {name: metric(tools) for name, metric in wanted.items() if name not in results.missing}
    theirs = None
    if reference is not None:
        observers = [metric.observe_reference for metric in active.values()]
        both = any(metric.needs >= {"classifier", "reference"} for metric in active.values())
        classifier = tools.classifier if both else None
        theirs = observe("reference", reference, observers, settings, classifier, progress)
    observers = [metric.observe for metric in active.values()]
    ours = observe("samples", samples, observers, settings, tools.classifier, progress)
    run = Run(ours, theirs, texts_of([*pool, *ours.prompts]), [_row(ours, i) for i in range(len(ours))])
    if not ours.meshes:
        lacking["meshes"] = "no meshes"
    if not any(ours.prompts):
        lacking["prompts"] = "no sample's prompt is known"
    for name, metric in active.items():
        try:
            if reason := _reason(metric, lacking):
                raise NotMeasured(reason)
            results.scores += [replace(one, section=metric.section) for one in metric.score(run)]
        except NotMeasured as error:
            results.missing[name] = str(error)
    _check_required(results, required)
    results.ceiling = {one.name: one.to_json() for one in run.ceiling}
    results.context = run.context
    results.rows = run.rows
    results.groups = groups(run.rows)
    _add_sets(results, samples, ours, reference, theirs)
    results.cost |= {"machine": machine(), **_seconds(ours), "scoring": round(time.perf_counter() - began, 3)}
    return results


def _reason(metric: Metric | type[Metric], lacking: Mapping[Need, str]) -> str | None:
    """Why a metric cannot be measured: the first of its needs that is not there."""
    return next((reason for need, reason in lacking.items() if need in metric.needs), None)


def _check_required(results: Results, required: Sequence[str]) -> None:
    """InputError where a metric that must be measured cannot be; called early, too, before what takes long."""
    lost = [f"{name} ({results.missing[name]})" for name in required if name in results.missing]
    if lost:
        raise InputError(f"metrics: expected to measure {', '.join(required)}; cannot: {'; '.join(lost)}")


def _row(samples: Observed, i: int) -> Row:
    prompt = samples.prompts[i]
    subject = None if prompt is None else subject_of(prompt)
    row: Row = {"name": samples.names[i], "prompt": prompt, "seed": samples.seeds[i]}
    if subject is not None:
        row |= {"noun": subject.noun, "color": subject.color, "seen": subject.seen}
    return row


def _add_sets(
    results: Results, samples: SampleSet, ours: Observed, reference: SampleSet | None, theirs: Observed | None
) -> None:
    """Counts, failures and notes of both sets."""
    results.failures = [asdict(failure) for failure in samples.failures]
    results.counts = {"samples": len(ours), "failures": len(samples.failures), "meshes": ours.meshes}
    results.notes += samples.notes
    if samples.failures:
        left = len(samples) - len(ours)
        results.notes.append(f"{len(samples.failures)} failures; {left} of {len(samples)} samples are left out")
    if reference is not None and theirs is not None:
        results.counts |= {"reference": len(theirs), "reference_failures": len(reference.failures)}
        results.notes += reference.notes
        results.failures += [{"name": f"reference: {one.name}", "reason": one.reason} for one in reference.failures]
        results.tools["reference"] = {"kind": reference.kind, "place": reference.place, "clouds": len(theirs)}


def _seconds(observed: Observed) -> dict[str, Any]:
    """Mean seconds of each stage, over the samples that have them; loading counts once, as its most."""
    stages: dict[str, list[float]] = {}
    for one in observed.seconds:
        for stage, seconds in (one or {}).items():
            stages.setdefault(stage, []).append(seconds)
    load = stages.pop("load", None)
    found: dict[str, Any] = {
        "seconds_per_cloud": {stage: round(float(np.mean(values)), 3) for stage, values in sorted(stages.items())}
    }
    if load:
        found["seconds_to_load"] = round(max(load), 3)
    return found
