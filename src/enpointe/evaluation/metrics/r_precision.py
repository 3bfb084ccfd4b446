"""CLIP R-Precision: which of the prompts the images of a sample go best with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import RenderError
from enpointe.evaluation.blocks import Block, table
from enpointe.evaluation.measures.classifier_scores import ends
from enpointe.evaluation.measures.published import published_context
from enpointe.evaluation.measures.r_precision import RPrecision, r_precision, text_pool
from enpointe.evaluation.metric import Badge, Metric, NotMeasured, Run, Tools, given
from enpointe.evaluation.metrics import METRICS
from enpointe.evaluation.observation import Observation
from enpointe.evaluation.score import Quantity, Row, Score

CEILING = 128
"""Reference clouds that are scored beside the samples, at most."""

Viewed = tuple[int, str, NDArray[np.float32]]
"""Index and prompt of a sample, and (views, d) features of its images."""


@METRICS.register("r_precision")
class ClipRPrecision(Metric):
    """See `measures.r_precision`."""

    needs = frozenset({"prompts", "encoder", "renderer"})
    scores = (
        Quantity("r_precision", "R-Precision", "higher", "share", swept=True),
        Quantity("r_precision_at_5", "R-Precision at 5", "higher", "share"),
        Quantity("clip_score", "CLIP score", "higher"),
    )
    values = (
        Quantity("r_at_1", "R@1", "higher", "share", figure=False),
        Quantity("clip_score", "text match", "higher"),
    )
    order = 30

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._samples: list[Viewed] = []
        self._reference: list[Viewed] = []

    def observe(self, sample: Observation) -> None:
        self._view(sample, self._samples)

    def observe_reference(self, sample: Observation) -> None:
        if self.tools.ceilings and len(self._reference) < CEILING:
            self._view(sample, self._reference)

    def _view(self, observation: Observation, into: list[Viewed]) -> None:
        sample, renderer = observation.sample, given(self.tools.renderer)
        if not sample.prompt:
            return
        of_mesh = self.tools.settings.images_of == "mesh" and sample.mesh is not None
        try:
            shape = given(sample.mesh) if of_mesh else sample.cloud
            images = renderer.images(shape, self.tools.settings.render_config())
        except RenderError as error:
            observation.fail(f"no images of it: {error}")
            return
        into.append((observation.index, sample.prompt, given(self.tools.encoder).encode_images(list(images))))

    def score(self, run: Run) -> list[Score]:
        if not self._samples:
            raise NotMeasured("no image could be rendered")
        found, texts = self._retrieval(self._samples, run.texts)
        for (i, _, _), one in zip(self._samples, found.per_sample, strict=True):
            run.rows[i] |= {"rank": one.rank, "r_at_1": one.right, "clip_score": one.score}
            if one.rival is not None and one.rank > 1:
                run.rows[i]["rival"] = texts[one.rival]
        if self._reference:
            run.ceiling += self._scores(self._retrieval(self._reference, run.texts)[0])
        encoder, stated = given(self.tools.encoder).name, self.tools.settings.papers_prompts
        run.context["r_precision"] = asdict(published_context(encoder, run.texts, stated=stated))
        return self._scores(found)

    def _retrieval(self, viewed: Sequence[Viewed], texts: Sequence[str]) -> tuple[RPrecision, tuple[str, ...]]:
        """R-Precision, and the texts that it is among: those given, and the prompts of what was viewed."""
        pool = text_pool([*texts, *(prompt for _, prompt, _ in viewed)])
        if len(pool.texts) < 2:
            raise NotMeasured("all samples are of one prompt: there is no other to tell it from")
        features = given(self.tools.encoder).encode_texts(pool.texts)
        images = np.stack([vectors for _, _, vectors in viewed])
        return r_precision(images, features, pool.index[len(texts) :], seed=self.seed), pool.texts

    def _scores(self, found: RPrecision) -> list[Score]:
        encoder = given(self.tools.encoder)
        best, five, match = self.scores
        through = f"through {encoder.name}"
        return [
            best.score(
                found.r_at_1,
                f"share of images that go best with their own prompt, {through}; {found.views} views a sample, among "
                f"{found.pool} prompts; by chance {found.chance:.1%}",
                ends(found.intervals["r_at_1"]),
                found.note,
            ),
            five.score(
                found.r_at_5,
                f"share of images with their own prompt among the best five; {min(1, 5 * found.chance):.1%} by chance",
                ends(found.intervals["r_at_5"]),
                found.note,
            ),
            replace(match, title=encoder.score_title).score(
                found.clip_score,
                f"mean cosine of images with their own prompt, times 100, {through}",
                ends(found.intervals["clip_score"]),
            ),
        ]

    @classmethod
    def badges(cls, row: Row) -> list[Badge]:
        badges = [Badge(f"rank {row['rank']}", "good" if row["rank"] == 1 else "bad")] if "rank" in row else []
        if "rival" in row:
            badges.append(Badge(f"closer to: {row['rival']}", "bad"))
        return badges

    @classmethod
    def blocks(cls, results: Mapping[str, Any]) -> list[Block | None]:
        """R-Precision beside that of the reference, of chance, and of papers where these may be compared."""
        published, names = results["context"].get("r_precision"), ("r_precision", "r_precision_at_5")
        if published is None:
            return []
        encoder = results["tools"]["encoder"]["name"]
        rows: list[list[Any]] = [[results["title"], f"these samples, through {encoder}", *(results[n] for n in names)]]
        if "r_precision" in results["ceiling"]:
            best = [results["ceiling"][name]["value"] for name in names]
            rows.append(["reference", "new objects of the same prompts: what could be reached", *best])
        rows += [[method, "published", value, None] for method, value in published["rows"]]
        columns: list[dict[str, Any]] = [{"name": "", "text": True}] * 2
        columns += [{"name": name, "shown": "share"} for name in ("R@1", "R@5")]
        lead = published["why_not"] or published["caveat"]
        return [table("R-Precision in context", columns, rows, f"{lead[:1].upper()}{lead[1:]}.")]
