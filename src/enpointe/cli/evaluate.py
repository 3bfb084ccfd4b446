"""`enpointe evaluate`: how good a model, or a folder of clouds, is; and two runs side by side."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from enpointe.checkpoints.registry import generator
from enpointe.cli import options as opt
from enpointe.cli.console import report, warn
from enpointe.core.checks import USUAL_POINTS
from enpointe.core.errors import InputError
from enpointe.core.files import slug, writing
from enpointe.core.progress import ProgressBar
from enpointe.evaluation.choice import AUTO
from enpointe.evaluation.classifiers import CLASSIFIERS
from enpointe.evaluation.encoders import ENCODERS
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.settings import FeatureType, Settings, Shape
from enpointe.evaluation.text import count
from enpointe.render.renderers import RENDERERS

if TYPE_CHECKING:
    from enpointe.evaluation.runner.results import Results
    from enpointe.evaluation.samples.sample import SampleSet
    from enpointe.evaluation.score import Score

SWEEP_CLOUDS = 24


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "evaluate", allow_abbrev=False,
        description="Scores clouds (P-FID, P-IS, R-Precision, distances to reference clouds, meshes) and writes "
        "report.html and results.json. With --model clouds are generated first, into the same folder; a run that was "
        "stopped goes on when the same command is given again. Without --reference a model is compared with new "
        "procedural objects of the prompts' things.",
    )  # fmt: skip
    settings = Settings()
    what = parser.add_argument_group("what is scored (one of the two)")
    what.add_argument("--model", metavar="NAME", help="generate clouds with this model, and score them")
    what.add_argument(
        "--samples", metavar="PLACE",
        help="score these: a folder of clouds or meshes (prompts from meta.json, or captions.csv or .jsonl), an "
        ".npz of arr_0 (n, points, 3), shards, or a pool",
    )  # fmt: skip
    what.add_argument("--reference", metavar="PLACE", help="reference clouds, of the same kinds")
    what.add_argument(
        "--limit", type=opt.whole(1, 10**9), metavar="N", help="only the first N of the samples and of the reference"
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--metrics", metavar="LIST", help=f"some of {', '.join(METRICS)} (default: all that can be measured)"
    )
    how.add_argument(
        "--classifier", choices=(AUTO, *CLASSIFIERS), default=settings.classifier,
        help="whose features P-FID and P-IS take (default: auto, the released one where it is in the cache)",
    )  # fmt: skip
    how.add_argument(
        "--encoder", choices=(AUTO, *ENCODERS), default=settings.encoder,
        help="what R-Precision sees images and texts through (default: auto, CLIP where it is installed)",
    )  # fmt: skip
    how.add_argument("--views", type=opt.whole(1, 64), metavar="N", help="of each sample for R-Precision (default: 8)")
    how.add_argument(
        "--images-of", choices=get_args(Shape), default=settings.images_of,
        help="what R-Precision sees (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--renderer", choices=tuple(RENDERERS), default=settings.renderer,
        help="what renders it; blender lights it and casts shadows, a second or so for each view "
        "(default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--papers-prompts", action="store_true",
        help="states that the prompts are the 153 captions collected for Dream Fields: published R-Precision is then "
        "shown beside what CLIP gives",
    )  # fmt: skip
    how.add_argument(
        "--feature-dtype", choices=get_args(FeatureType), default=settings.feature_dtype,
        help="of the classifier; bfloat16 takes a quarter less time for many clouds (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--seed", type=opt.whole(0, opt.MAX_SEED), default=0, metavar="S",
        help="of clouds, choices and intervals (default: 0)",
    )  # fmt: skip
    opt.add_device(how)
    _add_generation(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for the report (default: out/evaluate-<what>)")
    opt.add_json(parser)
    parser.set_defaults(run=run)
    _add_compare(parser)


def _add_generation(parser: argparse.ArgumentParser) -> None:
    """Options of --model; none has a default here, so that one given without it is an error."""
    group = parser.add_argument_group("how clouds are generated (with --model)")
    group.add_argument(
        "--prompts", metavar="FILE",
        help="one a line, or .jsonl with prompt and seed (default: 68 things and colors, seen and held-out)",
    )  # fmt: skip
    group.add_argument(
        "--n", type=opt.whole(1, opt.MAX_SAMPLES), metavar="N",
        help="clouds; beyond the last prompt the first come again with other seeds (default: one of each prompt)",
    )  # fmt: skip
    group.add_argument("--mesh", action=argparse.BooleanOptionalAction, default=None, help="also meshes (default: yes)")
    group.add_argument(
        "--sweep", nargs="?", const=SWEEP_CLOUDS, type=opt.whole(1, opt.MAX_SAMPLES), metavar="N",
        help="also quality against number of evaluations, each sampler, with the first N clouds for each "
        f"(default: {SWEEP_CLOUDS})",
    )  # fmt: skip
    group.add_argument(
        "--preset", metavar="NAME",
        help="a model's settings: fast, or for the released models reference, the release's own (default: fast)",
    )  # fmt: skip
    group.add_argument(
        "--dtype", choices=opt.DTYPES, help="number format of the model's networks (default: what the preset says)"
    )
    group.add_argument("--weights", metavar="FILE", help="the base network's weights")
    opt.add_sampling(group)
    opt.add_grid(group)
    group.set_defaults(points=None, grid=None)
    parser.set_defaults(of_model=[action.dest for action in group._group_actions])


def _add_compare(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="or", metavar="compare", dest="action")
    compare = actions.add_parser(
        "compare", help="two runs side by side", allow_abbrev=False,
        description="Puts two runs side by side: same prompts and seeds, a paired test of each value.",
    )  # fmt: skip
    compare.add_argument("a", metavar="A", help="a run's folder, or its results.json")
    compare.add_argument("b", metavar="B")
    compare.add_argument("--out", metavar="DIR", help="folder for the page (default: out/compare-<A>-<B>)")
    opt.add_json(compare)
    compare.set_defaults(run=run_compare)


def run(options: argparse.Namespace) -> None:
    if (options.model is None) == (options.samples is None):
        raise InputError("expected --model NAME or --samples PLACE, got both" if options.model else
                         "expected --model NAME, --samples PLACE, or compare A B; got none of them")  # fmt: skip
    metrics = (
        options.metrics
        if options.metrics is None
        else [one.strip() for one in options.metrics.split(",") if one.strip()]
    )
    if options.samples is not None:
        for name in options.of_model:
            if getattr(options, name) is not None:
                raise InputError(f"argument --{name}: expected only with --model")
    else:
        generator(options.model)
    from enpointe.evaluation.report.report import save_report
    from enpointe.evaluation.samples.open import open_samples

    reference = None if options.reference is None else open_samples(options.reference, options.limit)
    evaluate = _model if options.samples is None else _samples
    with ProgressBar() as bar:
        results, samples, folder = evaluate(options, reference, metrics, bar)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            page = save_report(results, samples, folder)
    for failure in results.failures[:10]:
        warn(f"{failure['name']}: {failure['reason']}")
    if len(results.failures) > 10:
        warn(f"and {len(results.failures) - 10} more failures, see {page}")
    report(_in_words(results, page), results.summary() | {"report": str(page)}, options.json)


def _model(
    options: argparse.Namespace, reference: SampleSet | None, metrics: list[str] | None, bar: ProgressBar
) -> tuple[Results, SampleSet, Path]:
    from enpointe.evaluation.prompts import embedded_prompts, read_prompts
    from enpointe.evaluation.runner.generation import Generation
    from enpointe.evaluation.runner.runs import evaluate_model

    prompts = embedded_prompts() if options.prompts is None else read_prompts(Path(options.prompts))
    n = options.n or len(prompts.prompts)
    if n > opt.MAX_SAMPLES:
        raise InputError(f"argument --prompts: expected at most {opt.MAX_SAMPLES} prompts, got {n}; take some by --n")
    folder = Path(options.out) if options.out else Path("out") / f"evaluate-{slug(options.model)}"
    generation = Generation(
        n_points=options.points or USUAL_POINTS,
        steps=options.steps,
        guidance_scale=options.guidance_scale,
        sampler=options.sampler,
        grid_size=None if options.mesh is False else options.grid or 128,
    )
    pipeline = opt.load_model(options, options.weights)
    results, samples = evaluate_model(
        pipeline,
        prompts,
        folder,
        n=options.n,
        generation=generation,
        reference=reference,
        metrics=metrics,
        settings=_settings(options),
        weights=None if options.weights is None else Path(options.weights),
        sweep=options.sweep or 0,
        progress=bar,
        log=_log,
    )
    return results, samples, folder


def _samples(
    options: argparse.Namespace, reference: SampleSet | None, metrics: list[str] | None, bar: ProgressBar
) -> tuple[Results, SampleSet, Path]:
    from enpointe.evaluation.runner.runs import evaluate_samples
    from enpointe.evaluation.samples.open import open_samples

    samples = open_samples(options.samples, options.limit)
    folder = Path(options.out) if options.out else Path("out") / f"evaluate-{slug(samples.place)}"
    results = evaluate_samples(samples, reference, metrics=metrics, settings=_settings(options), progress=bar)
    return results, samples, folder


def _settings(options: argparse.Namespace) -> Settings:
    from enpointe.core.device import find_device

    given = {field.name: getattr(options, field.name) for field in fields(Settings)}
    return Settings(**{**given, "device": find_device(options.device).type})


def _log(line: str) -> None:
    print(f"enpointe: {line}", file=sys.stderr)


def _in_words(results: Results, page: Path) -> str:
    lines = [f"{count(results.counts['samples'], 'cloud')} of {results.title}"]
    for one in results.scores:
        lines.append(f"{one.title:22} {_value(one.value, one.shown):>9}{_interval(one)}")
    lines += [f"{name:22} not measured: {reason}" for name, reason in results.missing.items()]
    notes = dict.fromkeys(one.note for one in results.scores if one.note and not one.section)
    lines += [*notes, *results.notes]
    return "\n".join([*lines, f"report: {page}"])


def _value(value: float, shown: str) -> str:
    return f"{value:.1%}" if shown == "share" else f"{value:.4g}"


def _interval(one: Score) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"   ({_value(one.low, one.shown)} to {_value(one.high, one.shown)})"


def run_compare(options: argparse.Namespace) -> None:
    from enpointe.evaluation.report.compare import read_run
    from enpointe.evaluation.report.compare_page import PAGE, samples_beside, save_comparison

    a, b = read_run(options.a), read_run(options.b)
    name = f"compare-{slug(Path(options.a).stem)}-{slug(Path(options.b).stem)}"
    folder = Path(options.out) if options.out else Path("out") / name
    samples = samples_beside(a, options.a), samples_beside(b, options.b)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = save_comparison(a, b, folder, samples)
    lines = [f"A: {found['a']}; B: {found['b']}; {count(found['pairs'], 'pair')} of prompt and seed"]
    for one in found["paired"]:
        values = f"{_value(one['a'], one['shown']):>9} {_value(one['b'], one['shown']):>9}"
        lines.append(f"{one['title']:22} {values}   p {one['p']:.2g}: {one['verdict']}")
    words = "\n".join([*lines, *found["notes"], f"page: {folder / PAGE}"])
    report(words, found | {"page": str(folder / PAGE)}, options.json)
