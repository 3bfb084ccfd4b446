"""Samples held against true objects of the very prompts that they were made from."""

from __future__ import annotations

from itertools import islice

from enpointe.evaluation.measures.mesh_metrics import OrientedPoints, normal_agreement
from enpointe.evaluation.measures.shape_metrics import chamfer_l1, f_score
from enpointe.evaluation.runner.gather import THIN, TWINS, Gathered
from enpointe.evaluation.values import Row, Score, mean_score

NO_REFERENCE = "no reference"
F_THRESHOLD = 0.02
"""Of the longest side: twice what is usual, as points of a cloud of 4,096 lie that far apart."""
CEILING_PROMPTS = 32
"""Prompts whose true objects are held against one another."""


def distances_to_prompt(samples: Gathered, reference: Gathered | None, rows: list[Row], seed: int) -> list[Score] | str:
    """F-score and chamfer distance; each sample's own go into its row."""
    if reference is None:
        return NO_REFERENCE
    paired = [i for i, prompt in enumerate(samples.prompts) if prompt in reference.twins]
    if not paired:
        return "no sample has a true cloud of the same prompt"
    for i in paired:
        twins = reference.twins[samples.prompts[i] or ""]
        rows[i]["f_score"] = max(f_score(samples.thin[i], twin, F_THRESHOLD).f_score for twin in twins)
        rows[i]["chamfer"] = min(chamfer_l1(samples.thin[i], twin) for twin in twins)
    note = (
        f"of {len(paired)} samples, each against the nearest of up to {TWINS} true clouds of its prompt; {THIN} points"
    )
    return [
        mean_score(
            "f_score", f"F-score at {F_THRESHOLD:g}", [rows[i]["f_score"] for i in paired], "higher",
            "how much of a sample and of a true cloud of its prompt lies within that distance (of the longest side) "
            "of the other", seed, "share", note,
        ),
        mean_score(
            "chamfer_to_prompt", "Distance to prompt", [rows[i]["chamfer"] for i in paired], "lower",
            "chamfer distance (plain lengths) to the nearest true cloud of the same prompt", seed, note=note,
        ),
    ]  # fmt: skip


def normals_to_prompt(
    samples: Gathered, reference: Gathered | None, rows: list[Row], ceiling: list[Score], seed: int
) -> list[Score] | str:
    """Normal consistency of meshes; each one's own goes into its row, that of true objects into `ceiling`."""
    if reference is None:
        return NO_REFERENCE
    if not samples.surfaces:
        return "no mesh's prompt is known" if samples.has_mesh else "no meshes"
    if not reference.true_surfaces:
        return "no true cloud of a known prompt has a mesh or normals"
    paired = [i for i in samples.surfaces if samples.prompts[i] in reference.true_surfaces]
    if not paired:
        return "no mesh has a true surface of the same prompt"
    for i in paired:
        twins = reference.true_surfaces[samples.prompts[i] or ""]
        rows[i]["normal_consistency"] = _nearest(samples.surfaces[i], twins)
    note = (
        f"of {len(paired)} meshes, each against the true object, of up to {TWINS} of its prompt, that it agrees with "
        f"best; {THIN:,} points"
    )
    best = _normals_ceiling(reference, seed)
    if best is not None:
        ceiling.append(best)
        note += f"; true objects of a prompt have {best.value:.3f} among one another, as other ones have other normals"
    return [
        mean_score(
            "normal_consistency", "Normal consistency", [rows[i]["normal_consistency"] for i in paired], "higher",
            "mean |cosine| of a mesh's normals and of those at the nearest places of a true object of its prompt, both "
            "ways; about 0.5 by chance", seed, note=note,
        )
    ]  # fmt: skip


def _normals_ceiling(reference: Gathered, seed: int) -> Score | None:
    """The same of true objects, each against the others of its prompt, of the first CEILING_PROMPTS that have two."""
    groups = islice((group for group in reference.true_surfaces.values() if len(group) > 1), CEILING_PROMPTS)
    values = [_nearest(one, [other for other in group if other is not one]) for group in groups for one in group]
    if not values:
        return None
    return mean_score(
        "normal_consistency", "Normal consistency", values, "higher",
        f"of {len(values)} true objects, each against the nearest of the others of its prompt", seed,
    )  # fmt: skip


def _nearest(surface: OrientedPoints, twins: list[OrientedPoints]) -> float:
    return max(normal_agreement(surface, twin) for twin in twins)
