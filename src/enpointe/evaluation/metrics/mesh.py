"""Soundness of meshes: closed, in one piece and free of crossings."""

from __future__ import annotations

from enpointe.evaluation.measures.mesh_metrics import MeshQuality, mesh_quality
from enpointe.evaluation.metric import Badge, Metric, Run, Tools
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.observation import Observation
from enpointe.evaluation.score import Quantity, Row, Score

MESHES = 64
"""Meshes that are examined, the first ones: self-intersection takes seconds each."""


@METRICS.register("mesh")
class MeshSoundness(Metric):
    """See `measures.mesh_metrics.mesh_quality`."""

    needs = frozenset({"meshes"})
    scores = (
        Quantity("watertight", "Watertight", "higher", "share"),
        Quantity("components", "Pieces", "lower"),
        Quantity("self_intersection", "Self-intersection", "lower", "share"),
    )
    values = (
        Quantity("watertight", "watertight", "higher", "share", figure=False),
        Quantity("components", "pieces", "lower", figure=False),
        Quantity("self_intersection", "self-intersection", "lower", "share"),
    )
    section = "Meshes"
    order = 80

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._found: dict[int, MeshQuality] = {}

    def observe(self, sample: Observation) -> None:
        if sample.sample.mesh is not None and len(self._found) < MESHES:
            self._found[sample.index] = mesh_quality(sample.sample.mesh)

    def score(self, run: Run) -> list[Score]:
        for i, quality in self._found.items():
            run.rows[i] |= {
                "watertight": quality.watertight,
                "components": quality.components,
                "self_intersection": quality.self_intersection.share,
            }
        found = list(self._found.values())
        more = f", the first of {run.samples.meshes}" if run.samples.meshes > len(found) else ""
        note = f"of {len(found)} meshes{more}"
        watertight, components, crossing = self.scores
        return [
            watertight.mean([one.watertight for one in found], "share of meshes without a hole", self.seed, note),
            components.mean(
                [one.components for one in found], "mean number of connected pieces of a mesh", self.seed, note
            ),
            crossing.mean(
                [one.self_intersection.share for one in found],
                "mean share of a mesh's faces that cross another",
                self.seed,
                note,
            ),
        ]

    @classmethod
    def badges(cls, row: Row) -> list[Badge]:
        badges = [Badge("has holes", "bad")] if row.get("watertight") is False else []
        if row.get("components", 1) > 1:
            badges.append(Badge(f"{row['components']} pieces", "bad"))
        return badges
