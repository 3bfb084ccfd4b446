"""A run: clouds are made or read, collected from, and scored; what comes out is JSON."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from enpointe import __version__
from enpointe.core.errors import EnpointeError, InputError, WeightsError
from enpointe.evaluation.classifiers import Classifier, load_classifier
from enpointe.evaluation.measures.published import published_context
from enpointe.evaluation.photographs import open_photographer
from enpointe.evaluation.prompts import texts_of
from enpointe.evaluation.runner.gather import Gathered, Wanted, gather
from enpointe.evaluation.runner.measure import METRICS, NO_CLASSIFIER, Measured, measure
from enpointe.evaluation.runner.text_match import Shape, TextMatch, load_text_match, measure_text_match
from enpointe.evaluation.samples.sample import SampleSet
from enpointe.evaluation.values import Row, Score, groups

FORMAT, VERSION = "enpointe-evaluation", 1
ALWAYS = ("p_fid", "p_is", "r_precision")
"""Scores that every result names, null where they were not measured."""
CEILING = 128
"""True clouds whose R-Precision is measured beside the samples', at most."""
NEED_REFERENCE = ("p_fid", "chamfer", "emd", "f_score", "normal_consistency")
NEED_CLASSIFIER = ("p_fid", "p_is", "named")

Progress = Callable[[str, int, int], None]
"""(what, done, of how many)."""


@dataclass(frozen=True)
class Tools:
    """What clouds are looked at with.

    Attributes:
        classifier, encoder: as `load_classifier` and `load_encoder` take them.
        half: features in bfloat16.
        seed: of choices and intervals.
        views: pictures of each sample for R-Precision; None for the usual number.
        pictures_of: clouds, or meshes where there are any.
        renderer: of these pictures, one of `photographs.RENDERERS`.
        papers_prompts: the user says that the prompts are those of the published R-Precision.
    """

    classifier: str = "auto"
    encoder: str = "auto"
    device: str = "cpu"
    half: bool = False
    seed: int = 0
    views: int | None = None
    pictures_of: Shape = "cloud"
    renderer: str = "own"
    papers_prompts: bool = False


@dataclass
class Results:
    """All that a run found. All but `cost` is the same when the same command runs again.

    Attributes:
        kind: "model" or "samples".
        title: what was scored, for people.
        settings: all that decided about the numbers.
        tools: classifier, encoder and reference: which, and how good by their own account.
        counts: of samples, reference clouds, failures.
        groups: see `values.groups`.
        ceiling: R-Precision and normal consistency of true objects.
        published: see `published.PublishedContext`.
        cost: seconds and memory.
    """

    kind: str
    title: str
    settings: dict[str, Any]
    scores: list[Score] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    ceiling: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    sweep: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """All but the single samples; every score's value under its name."""
        values: dict[str, Any] = dict.fromkeys(ALWAYS)
        values |= {score.name: score.value for score in self.scores}
        return {
            "format": FORMAT,
            "version": VERSION,
            "enpointe": __version__,
            **values,
            "scores": [score.to_json() for score in self.scores],
            "not_measured": self.missing,
            **{name: getattr(self, name) for name in _WHOLE},
        }

    def to_json(self) -> dict[str, Any]:
        return {**self.summary(), "samples": self.rows}


_WHOLE = (
    "kind", "title", "settings", "tools", "counts", "failures", "notes", "groups", "ceiling", "published", "sweep",
    "cost",
)  # fmt: skip
"""Fields of the results that go into the JSON as they are."""


def check_metrics(asked: Sequence[str] | None, *, reference: bool) -> tuple[str, ...]:
    """The metrics to measure: those that were asked for, or all.

    Raises:
        InputError: one that there is not, or that was asked for by name and needs a reference where there is none.
    """
    if asked is None:
        return METRICS
    unknown = [name for name in asked if name not in METRICS]
    if unknown or not asked:
        raise InputError(f"metrics: expected some of {', '.join(METRICS)}, found {', '.join(unknown) or 'none'}")
    needy = [name for name in asked if name in NEED_REFERENCE]
    if needy and not reference:
        raise InputError(f"metrics: expected a reference for {', '.join(needy)}, found none; name one with --reference")
    return tuple(dict.fromkeys(asked))


def score(
    results: Results,
    samples: SampleSet,
    reference: SampleSet | None,
    asked: Sequence[str] | None,
    tools: Tools,
    *,
    metrics: Sequence[str] = METRICS,
    pool: Sequence[str] = (),
    ceiling: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Results:
    """Fill in all that can be measured of the samples.

    Args:
        results: of which kind, title and settings are known.
        asked: metrics that must be had, or None for those of `metrics` that can be.
        pool: texts that a sample's has to be found among; more than those of the samples, where there are.
        ceiling: whether true clouds' own R-Precision is measured, too.

    Raises:
        InputError: nothing to score, or a metric that was asked for by name cannot be had.
        WeightsError: a network that was asked for by name cannot be had.
        DeviceError: Blender was asked for, and there is none that can be used.
    """
    began = time.perf_counter()
    metrics = metrics if asked is None else check_metrics(asked, reference=reference is not None)
    classifier = _classifier(results, metrics, tools)
    match = _text_match(results, metrics, tools)
    _all_there(results, asked)
    wanted = Wanted(
        classifier=classifier,
        pictures=match,
        shapes=reference is not None and bool({"chamfer", "emd"} & set(metrics)),
        thin=reference is not None and "f_score" in metrics,
        surfaces=reference is not None and "normal_consistency" in metrics,
        meshes="mesh" in metrics,
        half=tools.half,
    )
    true: Gathered | None = None
    if reference is not None:
        needed = classifier if "p_fid" in metrics else None
        pictures = match if ceiling and reference.kind == "procedural" else None
        true = gather(
            reference,
            replace(wanted, classifier=needed, pictures=pictures, pictured=CEILING, thin=False, meshes=False),
            twins=wanted.thin or wanted.surfaces,
            seed=tools.seed,
            progress=lambda done: progress("reference", done, len(reference)),
        )
        if not len(true):
            raise InputError(f"{reference.place}: expected clouds, found none that can be read{_first(reference)}")
    ours = gather(samples, wanted, seed=tools.seed, progress=lambda done: progress("samples", done, len(samples)))
    if not len(ours):
        raise InputError(f"{samples.place}: expected clouds, found none that can be read{_first(samples)}")
    measured = measure(ours, true, classifier, metrics, tools.seed)
    results.ceiling = {one.name: one.to_json() for one in measured.ceiling}
    if match is not None:
        _match_texts(results, measured, ours, true, match, pool, tools)
    results.scores += sorted(measured.scores, key=lambda one: list(_ORDER).index(one.name))
    for name, reason in measured.missing.items():
        results.missing.setdefault(name, reason)
    _all_there(results, asked)
    results.rows = measured.rows
    results.groups = groups(measured.rows)
    results.failures = [asdict(failure) for failure in samples.failures]
    results.counts = {"samples": len(ours), "failures": len(samples.failures), "meshes": ours.has_mesh}
    results.notes += samples.notes
    if samples.failures:
        left = len(samples) - len(ours)
        results.notes.append(f"{len(samples.failures)} failures; {left} of {len(samples)} samples are left out")
    if reference is not None and true is not None:
        results.counts |= {"reference": len(true), "reference_failures": len(reference.failures)}
        results.notes += reference.notes
        results.failures += [{"name": f"reference: {one.name}", "reason": one.reason} for one in reference.failures]
        results.tools["reference"] = {"kind": reference.kind, "place": reference.place, "clouds": len(true)}
    results.cost |= {"machine": machine(), **_seconds(ours), "scoring": round(time.perf_counter() - began, 3)}
    return results


_ORDER = dict.fromkeys((
    "p_fid", "p_is", "r_precision", "r_precision_at_5", "clip_score", "named", "f_score", "chamfer_to_prompt",
    "chamfer_mmd", "chamfer_coverage", "chamfer_one_nna", "emd_mmd", "emd_coverage", "emd_one_nna", "watertight",
    "components", "self_intersection", "normal_consistency",
))  # fmt: skip
"""In which scores are shown."""


def machine() -> dict[str, Any]:
    """What the times are to be read with."""
    return {"system": platform.system(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def peak_memory() -> int | None:
    """Bytes that this process had at most, in main memory; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if platform.system() == "Darwin" else most * 1024)


def _all_there(results: Results, asked: Sequence[str] | None) -> None:
    """InputError where something that was asked for by name cannot be had; early, before what takes long."""
    lost = [f"{name} ({results.missing[name]})" for name in asked or () if name in results.missing]
    if lost:
        raise InputError(f"metrics: expected to measure {', '.join(asked or ())}; cannot: {'; '.join(lost)}")


def _first(samples: SampleSet) -> str:
    """The first failure, as a message's end."""
    return f" ({samples.failures[0].name}: {samples.failures[0].reason})" if samples.failures else ""


def _classifier(results: Results, metrics: Sequence[str], tools: Tools) -> Classifier | None:
    if not set(NEED_CLASSIFIER) & set(metrics):
        return None
    try:
        classifier = load_classifier(tools.classifier, device=tools.device)
    except WeightsError as error:
        if tools.classifier != "auto":
            raise
        results.missing |= {name: f"{NO_CLASSIFIER}: {error}" for name in NEED_CLASSIFIER if name in metrics}
        return None
    results.tools["classifier"] = {
        "name": classifier.name, "note": classifier.note, "quality": dict(classifier.quality),
        "sha256": classifier.sha256, "features": classifier.network.feature_dim, "half": tools.half,
    }  # fmt: skip
    return classifier


def _text_match(results: Results, metrics: Sequence[str], tools: Tools) -> TextMatch | None:
    if "r_precision" not in metrics:
        return None
    photographer = open_photographer(tools.renderer, tools.views)
    try:
        match = load_text_match(tools.encoder, tools.device, photographer, tools.pictures_of)
    except EnpointeError as error:
        if tools.encoder != "auto":
            raise
        results.missing["r_precision"] = f"no encoder of texts and pictures: {error}"
        return None
    results.tools |= match.about()
    return match


def _match_texts(
    results: Results,
    measured: Measured,
    ours: Gathered,
    true: Gathered | None,
    match: TextMatch,
    pool: Sequence[str],
    tools: Tools,
) -> None:
    """R-Precision of the samples, and of true clouds of the same prompts beside it."""
    texts = texts_of([*pool, *ours.prompts])
    made = measure_text_match(match, ours, texts, measured.rows, tools.seed)
    if isinstance(made, str):
        measured.missing["r_precision"] = made
        return
    measured.scores += made
    if true is not None and true.pictures:
        best = measure_text_match(match, true, texts, [{} for _ in true.names], tools.seed)
        if not isinstance(best, str):
            results.ceiling |= {one.name: one.to_json() for one in best}
    results.published = asdict(published_context(match.encoder.name, texts, stated=tools.papers_prompts))


def _seconds(gathered: Gathered) -> dict[str, Any]:
    """Mean seconds of each stage, over the samples that say them; loading counts once, as its most."""
    stages: dict[str, list[float]] = {}
    for one in gathered.seconds:
        for stage, seconds in (one or {}).items():
            stages.setdefault(stage, []).append(seconds)
    load = stages.pop("load", None)
    found: dict[str, Any] = {
        "seconds_per_cloud": {stage: round(float(np.mean(values)), 3) for stage, values in sorted(stages.items())}
    }
    if load:
        found["seconds_to_load"] = round(max(load), 3)
    return found
