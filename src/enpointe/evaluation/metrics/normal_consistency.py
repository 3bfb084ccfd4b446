"""Normal consistency of meshes with reference surfaces of the same prompts (arXiv 1812.03828)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from enpointe.evaluation.measures.mesh_metrics import OrientedPoints, normal_agreement
from enpointe.evaluation.metric import Metric, NotMeasured, Run, Tools
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.observation import THIN, Observation
from enpointe.evaluation.references import PER_PROMPT, References
from enpointe.evaluation.score import Quantity, Score

SURFACES = 4096
"""Surfaces of the samples' meshes that are kept, the first ones."""
CEILING_PROMPTS = 32
"""Prompts whose references are compared with one another."""


@METRICS.register("normal_consistency")
class NormalConsistency(Metric):
    """Of each mesh and the reference, of its prompt, that it agrees with best; see `mesh_metrics.normal_agreement`."""

    needs = frozenset({"reference", "meshes", "prompts"})
    scores = (Quantity("normal_consistency", "Normal consistency", "higher"),)
    values = (Quantity("normal_consistency", "normal consistency", "higher"),)
    section = "Meshes"
    order = 90

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._surfaces: list[tuple[int, str, OrientedPoints]] = []
        self._references: References[OrientedPoints] = References()

    def observe_reference(self, sample: Observation) -> None:
        self._references.offer(sample.sample.prompt, lambda: sample.surface)

    def observe(self, sample: Observation) -> None:
        prompt = sample.sample.prompt
        if prompt and sample.sample.mesh is not None and len(self._surfaces) < SURFACES:
            surface = sample.surface
            if surface is not None:
                self._surfaces.append((sample.index, prompt, surface))

    def score(self, run: Run) -> list[Score]:
        if not self._surfaces:
            raise NotMeasured("no mesh's prompt is known")
        references = self._references.kept
        if not references:
            raise NotMeasured("no reference cloud of a known prompt has a mesh or normals")
        paired = [(run.rows[i], prompt, surface) for i, prompt, surface in self._surfaces if prompt in references]
        if not paired:
            raise NotMeasured("no mesh has a reference surface of the same prompt")
        for row, prompt, surface in paired:
            row["normal_consistency"] = _nearest(surface, references[prompt])
        note = (
            f"of {len(paired)} meshes, each against the reference, of up to {PER_PROMPT} of its prompt, that it agrees "
            f"with best; {THIN:,} points"
        )
        ceiling = self._ceiling()
        if ceiling is not None:
            run.ceiling.append(ceiling)
            note += (
                f"; references of a prompt have {ceiling.value:.3f} among one another, as other objects have other "
                "normals"
            )
        what = (
            "mean |cosine| of a mesh's normals and of those at the nearest places of a reference of its prompt, both "
            "ways; about 0.5 by chance"
        )
        return [self.scores[0].mean([row["normal_consistency"] for row, _, _ in paired], what, self.seed, note)]

    def _ceiling(self) -> Score | None:
        """The same of references, each against the others of its prompt, of the first prompts that have two."""
        groups = islice((group for group in self._references.kept.values() if len(group) > 1), CEILING_PROMPTS)
        found = [_nearest(one, [other for other in group if other is not one]) for group in groups for one in group]
        if not found:
            return None
        what = f"of {len(found)} references, each against the nearest of the others of its prompt"
        return self.scores[0].mean(found, what, self.seed)


def _nearest(surface: OrientedPoints, references: Sequence[OrientedPoints]) -> float:
    return max(normal_agreement(surface, one) for one in references)
