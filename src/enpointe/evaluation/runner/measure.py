"""From what was collected of samples and reference to scores, each with its interval or with why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from enpointe.data.procedural.families import FAMILIES
from enpointe.evaluation.classifiers import Classifier
from enpointe.evaluation.measures.scores import Interval, p_fid, p_is
from enpointe.evaluation.measures.shape_metrics import set_scores
from enpointe.evaluation.prompts import understood
from enpointe.evaluation.runner.gather import SHAPES, Gathered, Thin
from enpointe.evaluation.runner.to_prompt import NO_REFERENCE, distances_to_prompt, normals_to_prompt
from enpointe.evaluation.values import SAMPLING, Row, Score, mean_score

METRICS = ("p_fid", "p_is", "named", "r_precision", "chamfer", "emd", "f_score", "mesh", "normal_consistency")
"""What can be asked for."""
CHAMFER_POINTS, EMD_CLOUDS, EMD_POINTS = 1024, 32, 512
"""Of the clouds that are compared with each other: the time grows with their number squared, EMD's with the third
power of their points."""


@dataclass
class Measured:
    """Scores, what true clouds have of them, why others are missing, and what is known of each sample."""

    scores: list[Score] = field(default_factory=list)
    ceiling: list[Score] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def measure(
    samples: Gathered, reference: Gathered | None, classifier: Classifier | None, metrics: Sequence[str], seed: int = 0
) -> Measured:
    """All but R-Precision, of which see `text_match`.

    Args:
        metrics: some of METRICS. One whose needs are not met is in `missing` with the reason.
        seed: of intervals and choices.
    """
    found = Measured(rows=[_row(samples, i) for i in range(len(samples))])
    todo: dict[str, Callable[[], list[Score] | str]] = {
        "p_fid": lambda: _p_fid(samples, reference, classifier, seed),
        "p_is": lambda: _p_is(samples, classifier, seed),
        "named": lambda: _named(samples, classifier, found.rows, seed),
        "chamfer": lambda: _sets(samples, reference, "chamfer", seed),
        "emd": lambda: _sets(samples, reference, "emd", seed),
        "f_score": lambda: distances_to_prompt(samples, reference, found.rows, seed),
        "mesh": lambda: _mesh(samples, found.rows, seed),
        "normal_consistency": lambda: normals_to_prompt(samples, reference, found.rows, found.ceiling, seed),
    }
    for name, make in todo.items():
        if name in metrics:
            made = make()
            if isinstance(made, str):
                found.missing[name] = made
            else:
                found.scores += made
    return found


def _row(samples: Gathered, i: int) -> Row:
    prompt = samples.prompts[i]
    words = None if prompt is None else understood(prompt)
    row: Row = {"name": samples.names[i], "prompt": prompt, "seed": samples.seeds[i]}
    if words is not None:
        row |= {"noun": words.noun, "colour": words.colour, "seen": words.seen}
    return row


NO_CLASSIFIER = "no classifier"


def _p_fid(
    samples: Gathered, reference: Gathered | None, classifier: Classifier | None, seed: int
) -> list[Score] | str:
    if classifier is None:
        return NO_CLASSIFIER
    if reference is None:
        return NO_REFERENCE
    if samples.seen is None or reference.seen is None or min(len(samples), len(reference)) < 2:
        return f"at least 2 clouds of each are needed, found {len(samples)} and {len(reference)}"
    score = p_fid(samples.seen.features, reference.seen.features, seed=seed)
    notes = [score.note] if score.note else []
    if samples.points != reference.points:
        notes.append(f"samples have {_range(samples)} points, the reference {_range(reference)}: that alone adds to it")
    return [
        Score(
            "p_fid", "P-FID", score.value, "lower",
            f"Fréchet distance between {classifier.name}'s features of {score.samples} samples and {score.reference} "
            "true clouds",
            *_ends(score.interval),
            note="; ".join(notes) or None,
        )
    ]  # fmt: skip


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _range(gathered: Gathered) -> str:
    low, high = gathered.points or (0, 0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _p_is(samples: Gathered, classifier: Classifier | None, seed: int) -> list[Score] | str:
    if classifier is None:
        return NO_CLASSIFIER
    if samples.seen is None:
        return "no samples"
    score = p_is(samples.seen.probabilities, seed=seed)
    return [
        Score(
            "p_is", "P-IS", score.value, "higher",
            f"inception score of {classifier.name}'s {score.classes} classes, of which {score.classes_seen} are some "
            "sample's likeliest",
            *_ends(score.interval),
            note=score.note,
        )
    ]  # fmt: skip


def _named(samples: Gathered, classifier: Classifier | None, rows: list[Row], seed: int) -> list[Score] | str:
    if classifier is None:
        return NO_CLASSIFIER
    if classifier.classes is None:
        return f"the classes of {classifier.name} have no names"
    if samples.seen is None:
        return "no samples"
    best = samples.seen.probabilities.argmax(axis=1)
    hits: list[float] = []
    for i, row in enumerate(rows):
        row["class"] = classifier.classes[best[i]]
        row["class_probability"] = float(samples.seen.probabilities[i, best[i]])
        right = _classes_of(row.get("noun"), classifier.classes)
        if right:
            row["named"] = row["class"] in right
            row["noun_probability"] = float(
                sum(samples.seen.probabilities[i, classifier.classes.index(name)] for name in right)
            )
            hits.append(float(row["named"]))
    if not hits:
        return f"no sample's prompt asks plainly for one of the {len(classifier.classes)} classes of {classifier.name}"
    of = f"{len(hits)} samples whose noun it knows"
    what = f"share that {classifier.name} takes for the noun that was asked for, of {of}"
    return [mean_score("named", "Named right", hits, "higher", what, seed, "share")]


def _classes_of(noun: str | None, classes: Sequence[str]) -> set[str]:
    """The classes that stand for a family."""
    if noun is None:
        return set()
    return {noun, *FAMILIES[noun].names} & set(classes)


def _sets(samples: Gathered, reference: Gathered | None, distance: str, seed: int) -> list[Score] | str:
    """MMD, coverage and 1-NNA."""
    if reference is None:
        return NO_REFERENCE
    clouds, points = (EMD_CLOUDS, EMD_POINTS) if distance == "emd" else (SHAPES, CHAMFER_POINTS)
    n = min(clouds, len(samples.shapes), len(reference.shapes))
    if n < 2:
        return f"at least 2 clouds of each are needed, found {len(samples.shapes)} and {len(reference.shapes)}"
    sides = [_subset(side, n, points, [seed, SAMPLING, i]) for i, side in enumerate((samples, reference))]
    if distance == "emd" and len({len(cloud) for side in sides for cloud in side}) > 1:
        return f"clouds of equally many points, or of at least {points}, are needed; found smaller ones"
    scores = set_scores(sides[0], sides[1], "emd" if distance == "emd" else "chamfer_l2")
    name = "earth mover's" if distance == "emd" else "chamfer"
    short = "EMD" if distance == "emd" else "CD"
    used = min(len(cloud) for side in sides for cloud in side)
    note = f"of {n} samples and {n} true clouds drawn at random, {used:,} points each, scaled to the unit box"
    return [
        Score(f"{distance}_mmd", f"MMD ({short})", scores.mmd, "lower",
              f"mean {name} distance of each true cloud to the nearest sample", note=note),
        Score(f"{distance}_coverage", f"Coverage ({short})", scores.coverage, "higher",
              "share of the true clouds that are nearest to some sample", shown="share", note=note),
        Score(f"{distance}_one_nna", f"1-NNA ({short})", scores.one_nna, "half",
              "share of all clouds whose nearest other one is of their own kind: 50 % where samples and true clouds "
              "cannot be told apart", shown="share", note=note),
    ]  # fmt: skip


def _subset(side: Gathered, n: int, points: int, seed: list[int]) -> list[Thin]:
    """n of the clouds kept for distances; their points are in random order only where some were left out."""
    rng = np.random.default_rng(seed)
    clouds = list(side.shapes.values())
    return [
        cloud[rng.permutation(len(cloud))[:points]]
        for cloud in (clouds[i] for i in sorted(rng.permutation(len(clouds))[:n].tolist()))
    ]


def _mesh(samples: Gathered, rows: list[Row], seed: int) -> list[Score] | str:
    if not samples.meshes:
        return "no meshes"
    for i, quality in samples.meshes.items():
        rows[i] |= {
            "watertight": quality.watertight,
            "components": quality.components,
            "self_intersection": quality.self_intersection.share,
        }
    note = f"of {len(samples.meshes)} meshes" + (
        f", the first of {samples.has_mesh}" if samples.has_mesh > len(samples.meshes) else ""
    )
    found = list(samples.meshes.values())
    return [
        mean_score("watertight", "Watertight", [mesh.watertight for mesh in found], "higher",
                   "share of meshes without a hole", seed, "share", note),
        mean_score("components", "Pieces", [mesh.components for mesh in found], "lower",
                   "mean number of connected pieces of a mesh", seed, note=note),
        mean_score("self_intersection", "Self-intersection", [mesh.self_intersection.share for mesh in found], "lower",
                   "mean share of a mesh's faces that cross another", seed, "share", note),
    ]  # fmt: skip
